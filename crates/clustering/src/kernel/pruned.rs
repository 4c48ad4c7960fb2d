//! Skipping centroids that cannot be the nearest.
//!
//! Centroids are grouped by k-means++ and a few iterations of Lloyd's algorithm among themselves, and each panel
//! holds members of one group. With g the centre of a panel's group and ρ the largest distance of
//! its members from g, no member is nearer to x than ‖x − g‖ − ρ (the triangle inequality, as in
//! Elkan 2003 and Yinyang k-means, but without bounds kept from one iteration to the next). Rows are
//! taken in order of their nearest group, so that a strip of them needs few panels.
//!
//! A skipped centroid is farther than the best by more than rounding, so the result is the same.

use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{AtomicU64, Ordering};

use pulp::Arch;

use super::grouping::group;
use super::tile::{Lanes, PANEL, Panels, STRIP, multiply, scan_strip};
use super::{Block, pack, squared_distance};
use crate::source::norms;
use crate::subset::Groups;
use crate::vectorize::vectorize;

/// Clusters from which on, and rows per cluster from which on, grouping can pay.
const MIN_CLUSTERS: usize = 128;
const MIN_ROWS_PER_CLUSTER: usize = 8;

/// Largest norms of centroids whose squares, and their errors, f32 holds.
const ORDINARY: RangeInclusive<f32> = 1e-15..=1e15;

/// Panels that are looked at before it is known whether skipping pays.
const TRIAL: u64 = 50_000;

/// Grouped centroids of one run.
pub(super) struct Grouped {
    width: usize,
    /// Centres of the groups, in panels.
    centres: Vec<f32>,
    centre_norms: Vec<f32>,
    panels: Vec<Panel>,
    /// The panels of each group.
    of_group: Vec<Range<usize>>,
    /// Cluster by panel and lane.
    clusters: Vec<u32>,
    /// Largest norm of a centroid.
    reach: f32,
    looked_at: AtomicU64,
    /// Panels that would have been looked at without groups.
    ungrouped: AtomicU64,
}

/// Up to [`PANEL`] members of one group.
struct Panel {
    group: usize,
    values: Vec<f32>,
    squared_norms: [f32; PANEL],
    /// Largest distance of a member from the group's centre, rounded up.
    radius: f32,
}

/// A block's rows against the centres.
struct Bounds {
    /// Lower bounds on the distances, shape (rows, groups).
    lower: Vec<f32>,
    groups: usize,
    /// Group of the nearest centre.
    nearest: Vec<u32>,
    /// Rows by nearest group.
    order: Vec<u32>,
}

/// Rows that look at panels together.
struct Strip<'a> {
    rows: Vec<&'a [f32]>,
    lanes: Vec<Lanes>,
    seen: Vec<bool>,
    looked_at: u64,
}

impl Grouped {
    /// Of centroids, row-major, that so many rows will be compared with; `None` where grouping
    /// cannot pay.
    pub(super) fn new(width: usize, centroids: &[f32], rows: usize) -> Option<Self> {
        let clusters = centroids.len() / width;
        if clusters < MIN_CLUSTERS || rows / clusters < MIN_ROWS_PER_CLUSTER {
            return None;
        }
        let reach = norms(centroids, width).into_iter().fold(0.0, f32::max);
        if !ORDINARY.contains(&reach) {
            return None;
        }
        let (centres, group) = group(width, centroids);
        let mut grouped = Self {
            width,
            centre_norms: self::norms(&centres, width),
            centres: pack(width, &centres),
            panels: Vec::new(),
            of_group: Vec::new(),
            clusters: Vec::new(),
            reach,
            looked_at: AtomicU64::new(0),
            ungrouped: AtomicU64::new(0),
        };
        let groups = Groups::new(&group, centres.len() / width);
        for (number, centre) in centres.chunks_exact(width).enumerate() {
            let first = grouped.panels.len();
            for members in groups.of(number).chunks(PANEL) {
                grouped.push(number, centre, members, centroids);
            }
            grouped.of_group.push(first..grouped.panels.len());
        }
        Some(grouped)
    }

    fn push(&mut self, group: usize, centre: &[f32], members: &[usize], centroids: &[f32]) {
        let of = |&cluster: &usize| &centroids[cluster * self.width..][..self.width];
        let values: Vec<f32> = members.iter().flat_map(of).copied().collect();
        let mut squared_norms = [f32::INFINITY; PANEL];
        for (squared, norm) in squared_norms.iter_mut().zip(norms(&values, self.width)) {
            *squared = norm * norm;
        }
        let distances = members
            .iter()
            .map(|member| squared_distance(of(member), centre).sqrt());
        let radius = distances.fold(0.0, f64::max) as f32;
        self.panels.push(Panel {
            group,
            values: pack(self.width, &values),
            squared_norms,
            radius: radius * (1.0 + 4.0 * f32::EPSILON),
        });
        self.clusters
            .extend(members.iter().map(|&member| member as u32));
        self.clusters.resize(self.panels.len() * PANEL, 0);
    }

    /// Whether skipping has saved work so far; at first, that is tried.
    pub(super) fn pays(&self) -> bool {
        let looked_at = self.looked_at.load(Ordering::Relaxed);
        looked_at < TRIAL || looked_at < self.ungrouped.load(Ordering::Relaxed)
    }

    /// The cluster behind a panel and lane, numbered through.
    pub(super) fn cluster(&self, place: u32) -> u32 {
        self.clusters[place as usize]
    }

    /// Updates each row's lanes with the scores of all centroids that can be its nearest.
    pub(super) fn scan(&self, arch: Arch, block: Block<'_>, lanes: &mut [Lanes]) {
        let bounds = Bounds::new(self, arch, block);
        let mut looked_at = 0;
        for order in bounds.order.chunks(STRIP) {
            let mut strip = Strip {
                rows: order.iter().map(|&row| block.row(row as usize)).collect(),
                lanes: vec![Lanes::EMPTY; order.len()],
                seen: vec![false; self.panels.len()],
                looked_at: 0,
            };
            self.scan_strip(arch, block, &bounds, order, &mut strip);
            for (&row, found) in order.iter().zip(strip.lanes) {
                lanes[row as usize] = found;
            }
            looked_at += strip.looked_at + (self.of_group.len() / PANEL) as u64;
        }
        let ungrouped = block.len().div_ceil(STRIP) * self.clusters_in_all().div_ceil(PANEL);
        self.looked_at.fetch_add(looked_at, Ordering::Relaxed);
        self.ungrouped
            .fetch_add(ungrouped as u64, Ordering::Relaxed);
    }

    /// First the panels of the rows' nearest groups, then all that these do not rule out.
    fn scan_strip(
        &self,
        arch: Arch,
        block: Block<'_>,
        bounds: &Bounds,
        order: &[u32],
        strip: &mut Strip<'_>,
    ) {
        for &row in order {
            let group = bounds.nearest[row as usize] as usize;
            for panel in self.of_group[group].clone() {
                strip.look_at(arch, panel, &self.panels[panel]);
            }
        }
        let limits = strip.lanes.iter().zip(order);
        let limits: Vec<f32> = limits
            .map(|(lanes, &row)| self.upper(lanes, block.norms[row as usize]))
            .collect();
        let slack = bounds.slack(arch, order, &limits);
        for (number, panel) in self.panels.iter().enumerate() {
            if slack[panel.group] <= panel.radius {
                strip.look_at(arch, number, panel);
            }
        }
    }

    /// Upper bound on the distance of a row to the nearest centroid it has looked at.
    fn upper(&self, lanes: &Lanes, norm: f32) -> f32 {
        let square = lanes.lowest() + norm * norm + self.square_error(norm);
        // A square beyond f32 rules nothing out, whatever it is compared with.
        if square.is_finite() {
            square.max(0.0).sqrt() * (1.0 + 4.0 * f32::EPSILON)
        } else {
            f32::INFINITY
        }
    }

    /// Bound on the error of ‖x‖² + ‖c‖² − 2x·c in f32.
    fn square_error(&self, norm: f32) -> f32 {
        let terms = self.width as f32 + 8.0;
        2.0 * terms * (f32::EPSILON * (norm + self.reach).powi(2) + f32::MIN_POSITIVE)
    }

    fn clusters_in_all(&self) -> usize {
        let filled = self.panels.iter().flat_map(|panel| panel.squared_norms);
        filled.filter(|norm| norm.is_finite()).count()
    }
}

impl Strip<'_> {
    fn look_at(&mut self, arch: Arch, number: usize, panel: &Panel) {
        if std::mem::replace(&mut self.seen[number], true) {
            return;
        }
        self.looked_at += 1;
        let panels = Panels {
            values: &panel.values,
            squared_norms: &panel.squared_norms,
            first: number,
        };
        scan_strip(arch, &self.rows, panels, &mut self.lanes);
    }
}

impl Bounds {
    fn new(grouped: &Grouped, arch: Arch, block: Block<'_>) -> Self {
        let groups = grouped.of_group.len();
        let mut lower = vec![0.0; block.len() * groups];
        let mut products = vec![[0.0; PANEL]; block.len()];
        let panels = grouped.centres.chunks_exact(PANEL * grouped.width);
        let norms = grouped.centre_norms.chunks(PANEL);
        for (number, (panel, norms)) in panels.zip(norms).enumerate() {
            multiply(arch, block.values, block.width, panel, &mut products);
            vectorize(
                arch,
                #[inline(always)]
                || {
                    let rows = lower.chunks_exact_mut(groups).zip(block.norms);
                    for ((lower, &norm), products) in rows.zip(&products) {
                        let lower = &mut lower[number * PANEL..];
                        let error = grouped.square_error(norm);
                        for ((lower, &centre), &product) in
                            lower.iter_mut().zip(norms).zip(products)
                        {
                            let square = norm * norm + centre * centre - 2.0 * product - error;
                            // NaN, from squares beyond f32, is no bound.
                            *lower = if square > 0.0 { square.sqrt() } else { 0.0 };
                        }
                    }
                },
            );
        }
        let nearest: Vec<u32> = lower.chunks_exact(groups).map(lowest).collect();
        let mut order: Vec<u32> = (0..block.len() as u32).collect();
        order.sort_by_key(|&row| nearest[row as usize]);
        Self {
            lower,
            groups,
            nearest,
            order,
        }
    }

    /// For each group the least that any of the rows is farther from its centre than its limit.
    fn slack(&self, arch: Arch, order: &[u32], limits: &[f32]) -> Vec<f32> {
        let mut slack = vec![f32::INFINITY; self.groups];
        vectorize(
            arch,
            #[inline(always)]
            || {
                for (&row, &limit) in order.iter().zip(limits) {
                    let lower = &self.lower[row as usize * self.groups..][..self.groups];
                    for (slack, &lower) in slack.iter_mut().zip(lower) {
                        let rest = lower - limit;
                        *slack = if rest < *slack { rest } else { *slack };
                    }
                }
            },
        );
        slack
    }
}

fn lowest(values: &[f32]) -> u32 {
    let mut best = (0, f32::INFINITY);
    for (place, &value) in (0..).zip(values) {
        if value < best.1 {
            best = (place, value);
        }
    }
    best.0
}
