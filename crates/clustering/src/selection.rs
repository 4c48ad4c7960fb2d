//! Best start of a candidate by inertia, best candidate by the Davies–Bouldin index.

use crate::davies_bouldin::davies_bouldin;
use crate::kernel::Stack;
use crate::pass::{Want, pass};
use crate::rows::Rows;

/// Centroids that have come to rest, row-major.
pub(crate) struct Settled {
    pub(crate) centroids: Vec<f32>,
    pub(crate) iterations: u64,
}

/// Settled centroids of one run, measured on all rows.
pub(crate) struct Fitted {
    pub(crate) centroids: Vec<f32>,
    pub(crate) width: usize,
    pub(crate) counts: Vec<u64>,
    pub(crate) inertia: f64,
    pub(crate) iterations: u64,
    /// Sum of distances per cluster.
    distances: Vec<f64>,
}

/// Measures runs side by side, in one pass.
pub(crate) fn measure(rows: &Rows<'_>, runs: Vec<Settled>) -> Vec<Fitted> {
    let stack = Stack::new(
        rows.width(),
        runs.iter().map(|run| run.centroids.as_slice()),
    );
    let tally = pass(rows.blocks(), &stack, Want::Distances, |_| {});
    runs.into_iter()
        .zip(stack.spans())
        .map(|(run, span)| Fitted {
            centroids: run.centroids,
            width: rows.width(),
            counts: tally.counts[span.clone()].to_vec(),
            inertia: tally.squares[span.clone()].iter().sum(),
            iterations: run.iterations,
            distances: tally.distances[span.clone()].to_vec(),
        })
        .collect()
}

/// Takes the runs of a fit in order of clusters, then start; holds on to two of them at most.
#[derive(Default)]
pub(crate) struct Selection {
    candidate: Option<Fitted>,
    chosen: Option<Chosen>,
    curve: Vec<(usize, f64)>,
}

/// The run that won, its index, and the index of every candidate that has one.
pub(crate) struct Chosen {
    pub(crate) fitted: Fitted,
    pub(crate) davies_bouldin: Option<f64>,
}

impl Fitted {
    pub(crate) fn clusters(&self) -> usize {
        self.counts.len()
    }
}

impl Selection {
    /// Equal inertia keeps the earlier start.
    pub(crate) fn offer(&mut self, run: Fitted) {
        let same_candidate = |other: &Fitted| other.clusters() == run.clusters();
        match &self.candidate {
            Some(held) if same_candidate(held) && held.inertia <= run.inertia => {}
            Some(held) if same_candidate(held) => self.candidate = Some(run),
            _ => {
                self.close();
                self.candidate = Some(run);
            }
        }
    }

    /// The winner and the curve; `None` if no run was offered.
    pub(crate) fn finish(mut self) -> Option<(Chosen, Vec<(usize, f64)>)> {
        self.close();
        self.chosen.map(|chosen| (chosen, self.curve))
    }

    /// Ranks a candidate whose starts have all been seen. Equal indices keep fewer clusters; a
    /// candidate without an index wins only if there is no other.
    fn close(&mut self) {
        let Some(fitted) = self.candidate.take() else {
            return;
        };
        let index = davies_bouldin(
            &fitted.centroids,
            fitted.width,
            &fitted.counts,
            &fitted.distances,
        );
        if let Some(index) = index {
            self.curve.push((fitted.clusters(), index));
        }
        let rank = |index: Option<f64>| index.unwrap_or(f64::INFINITY);
        let beaten = |chosen: &Chosen| rank(index) < rank(chosen.davies_bouldin);
        if self.chosen.as_ref().is_none_or(beaten) {
            self.chosen = Some(Chosen {
                fitted,
                davies_bouldin: index,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clusters at 0, 10, 20, …, each of one row at the given distance.
    fn run(clusters: usize, distance: f64, start: u64) -> Fitted {
        Fitted {
            centroids: (0..clusters).map(|row| 10.0 * row as f32).collect(),
            width: 1,
            counts: vec![1; clusters],
            inertia: distance * distance * clusters as f64,
            iterations: start,
            distances: vec![distance; clusters],
        }
    }

    fn select(runs: impl IntoIterator<Item = Fitted>) -> (Chosen, Vec<(usize, f64)>) {
        let mut selection = Selection::default();
        runs.into_iter().for_each(|run| selection.offer(run));
        selection.finish().unwrap()
    }

    #[test]
    fn the_best_start_stands_for_its_candidate() {
        let (chosen, curve) = select([
            run(2, 3.0, 0),
            run(2, 1.0, 1),
            run(2, 1.0, 2),
            run(3, 2.5, 0),
            run(3, 4.0, 1),
        ]);
        assert_eq!(chosen.fitted.iterations, 1);
        assert_eq!(chosen.fitted.clusters(), 2);
        assert_eq!(curve, [(2, 0.2), (3, 0.5)]);
    }

    #[test]
    fn equal_indices_keep_fewer_clusters() {
        let (chosen, curve) = select([run(2, 1.0, 0), run(3, 1.0, 0)]);
        assert_eq!(chosen.fitted.clusters(), 2);
        assert_eq!(curve.len(), 2);
    }

    #[test]
    fn no_index_loses_to_any_index() {
        let mut collapsed = run(2, 1.0, 0);
        collapsed.counts = vec![2, 0];
        let (chosen, curve) = select([collapsed, run(3, 9.0, 0)]);
        assert_eq!(chosen.fitted.clusters(), 3);
        assert_eq!(curve.len(), 1);
        assert!(Selection::default().finish().is_none());
    }
}
