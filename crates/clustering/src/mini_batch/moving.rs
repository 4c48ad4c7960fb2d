//! One run on its way: what a batch does to it, and when it has come to rest.

use crate::kernel::squared_distance;
use crate::pass::Tally;
use crate::refill::farthest_rows;
use crate::rows::Rows;
use crate::selection::Settled;

/// Batches without improvement after which a run has settled.
const PATIENCE: u32 = 10;

/// Rows per cluster that go by before a cluster without any counts as starved.
const STARVED_AFTER: u64 = 100;

/// Centroids on their way, and all that was ever given to them.
pub(super) struct Moving {
    pub(super) centroids: Vec<f32>,
    counts: Vec<u64>,
    row_sums: Vec<f64>,
    hunger: Hunger,
    pub(super) plateau: Plateau,
    pub(super) batches: u64,
    pub(super) settled: bool,
}

/// Rows seen since clusters were last checked for starvation, in all and by cluster.
struct Hunger {
    seen: u64,
    by_cluster: Vec<u64>,
}

/// Exponentially smoothed inertia, and for how many batches it has not fallen below its lowest.
#[derive(Default)]
pub(super) struct Plateau {
    smoothed: Option<f64>,
    lowest: Option<f64>,
    stale: u32,
}

impl Moving {
    pub(super) fn new(centroids: Vec<f32>, width: usize) -> Self {
        let clusters = centroids.len() / width;
        Self {
            counts: vec![0; clusters],
            row_sums: vec![0.0; centroids.len()],
            hunger: Hunger {
                seen: 0,
                by_cluster: vec![0; clusters],
            },
            plateau: Plateau::default(),
            batches: 0,
            settled: false,
            centroids,
        }
    }

    pub(super) fn settle(self) -> Settled {
        Settled {
            centroids: self.centroids,
            iterations: self.batches,
        }
    }

    /// Takes in a batch, the clusters of this run beginning at `first` in its tally; returns how
    /// far the centroids moved together.
    pub(super) fn absorb(
        &mut self,
        tally: &Tally,
        first: usize,
        batch: &Rows<'_>,
        distances: &[f32],
    ) -> f64 {
        let (width, clusters) = (batch.width(), self.counts.len());
        let before = self.centroids.clone();
        let given = &tally.counts[first..][..clusters];
        let sums = &tally.row_sums[first * width..][..clusters * width];
        self.counts
            .iter_mut()
            .zip(given)
            .for_each(|(count, given)| *count += given);
        self.row_sums
            .iter_mut()
            .zip(sums)
            .for_each(|(sum, given)| *sum += given);
        let means = self.row_sums.chunks_exact(width).zip(&self.counts);
        for (centroid, (sums, &count)) in self.centroids.chunks_exact_mut(width).zip(means) {
            if count > 0 {
                centroid
                    .iter_mut()
                    .zip(sums)
                    .for_each(|(c, sum)| *c = (sum / count as f64) as f32);
            }
        }
        let starved = self.hunger.observe(given, batch.len() as u64);
        if !starved.is_empty() {
            self.restart(&starved, batch, distances);
        }
        squared_distance(&self.centroids, &before).sqrt()
    }

    fn restart(&mut self, starved: &[usize], batch: &Rows<'_>, distances: &[f32]) {
        let width = batch.width();
        let fed = (0..self.counts.len()).filter(|cluster| !starved.contains(cluster));
        let weight = fed.map(|cluster| self.counts[cluster]).min().unwrap_or(1);
        for (&cluster, row) in starved.iter().zip(farthest_rows(distances, starved.len())) {
            let row = batch.row(row);
            self.centroids[cluster * width..][..width].copy_from_slice(row);
            let sums = &mut self.row_sums[cluster * width..][..width];
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, &v)| *sum = f64::from(v) * weight as f64);
            self.counts[cluster] = weight;
        }
    }
}

impl Hunger {
    /// Once enough rows went by: the clusters that got none of them.
    fn observe(&mut self, given: &[u64], rows: u64) -> Vec<usize> {
        self.seen += rows;
        self.by_cluster
            .iter_mut()
            .zip(given)
            .for_each(|(sum, given)| *sum += given);
        if self.seen < STARVED_AFTER * self.by_cluster.len() as u64 {
            return Vec::new();
        }
        self.seen = 0;
        let starved = |&cluster: &usize| self.by_cluster[cluster] == 0;
        let clusters = (0..self.by_cluster.len()).filter(starved).collect();
        self.by_cluster.fill(0);
        clusters
    }
}

impl Plateau {
    /// Whether the mean squared distance of the batches has stopped falling.
    pub(super) fn observe(&mut self, inertia: f64, smoothing: f64) -> bool {
        let smoothed = match self.smoothed {
            None => inertia,
            Some(before) => before + smoothing * (inertia - before),
        };
        self.smoothed = Some(smoothed);
        if self.lowest.is_none_or(|lowest| smoothed < lowest) {
            self.lowest = Some(smoothed);
            self.stale = 0;
        } else {
            self.stale += 1;
        }
        self.stale >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::kernel::Stack;
    use crate::pass::{Want, pass};

    pub(super) fn absorb(run: &mut Moving, values: ndarray::ArrayView2<'_, f32>) -> f64 {
        let batch = Rows::new(values).unwrap();
        let stack = Stack::new(batch.width(), [run.centroids.as_slice()]);
        let mut distances = Vec::new();
        let tally = pass(batch.blocks(), &stack, Want::Both, |outcome| {
            distances.extend_from_slice(&outcome.distances);
        });
        run.absorb(&tally, 0, &batch, &distances)
    }

    #[test]
    fn a_centroid_is_the_mean_of_all_it_was_given() {
        let mut run = Moving::new(vec![0.0, 100.0], 1);
        assert_eq!(absorb(&mut run, array![[1.0], [3.0]].view()), 2.0);
        assert_eq!(run.centroids, [2.0, 100.0]);
        absorb(&mut run, array![[-6.0], [2.0], [90.0]].view());
        assert_eq!(run.centroids, [0.0, 90.0]);
    }

    #[test]
    fn a_starved_cluster_restarts_at_the_farthest_row_of_the_batch() {
        let mut run = Moving::new(vec![0.0, 1000.0], 1);
        let batch = ndarray::Array2::from_shape_fn((150, 1), |(row, _)| (row % 5) as f32);
        absorb(&mut run, batch.view());
        assert_eq!(run.centroids, [2.0, 1000.0], "150 rows are too few to tell");
        absorb(&mut run, batch.view());
        assert_eq!(
            run.centroids,
            [2.0, 0.0],
            "row 0 is the first of those at distance 2"
        );
        assert_eq!(run.counts, [300, 300]);
        assert_eq!(run.row_sums, [600.0, 0.0]);
    }

    #[test]
    fn a_run_settles_after_ten_batches_without_improvement() {
        let mut plateau = Plateau::default();
        let falling = [5.0, 4.0, 3.0];
        assert!(!falling.iter().any(|&inertia| plateau.observe(inertia, 1.0)));
        let flat: Vec<bool> = (0..10).map(|_| plateau.observe(3.0, 1.0)).collect();
        assert_eq!(flat.iter().position(|&settled| settled), Some(9));
    }
}
