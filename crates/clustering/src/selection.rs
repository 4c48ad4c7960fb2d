//! Best start of a candidate by inertia, best candidate by the Davies–Bouldin index.

use crate::ClusteringError;
use crate::davies_bouldin::davies_bouldin;
use crate::kernel::Stack;
use crate::pass::{Want, pass};
use crate::runs::STACK_CLUSTERS;
use crate::source::Source;

/// Centroids that have come to rest, row-major.
pub(crate) struct Settled {
    pub(crate) centroids: Vec<f32>,
    pub(crate) iterations: u64,
}

/// Settled centroids of one run, measured on all rows.
pub(crate) struct Fitted {
    pub(crate) settled: Settled,
    pub(crate) counts: Vec<u64>,
    pub(crate) inertia: f64,
    /// Sum of distances by cluster.
    distances: Vec<f64>,
}

impl Fitted {
    pub(crate) fn clusters(&self) -> usize {
        self.counts.len()
    }

    /// The Davies–Bouldin index; `None` for fewer than two clusters that are not empty.
    pub(crate) fn index(&self) -> Option<f64> {
        let width = self.settled.centroids.len() / self.counts.len().max(1);
        davies_bouldin(
            &self.settled.centroids,
            width,
            &self.counts,
            &self.distances,
        )
    }
}

/// Measures runs side by side, in one pass for all that fit a stack.
pub(crate) fn measure(
    source: &dyn Source,
    runs: Vec<Settled>,
) -> Result<Vec<Fitted>, ClusteringError> {
    let width = source.width();
    let mut fitted = Vec::with_capacity(runs.len());
    let mut rest = runs.into_iter().peekable();
    while let Some(first) = rest.next() {
        let mut room = STACK_CLUSTERS.saturating_sub(first.centroids.len() / width);
        let mut together = vec![first];
        while let Some(run) = rest.next_if(|run| run.centroids.len() / width <= room) {
            room -= run.centroids.len() / width;
            together.push(run);
        }
        fitted.extend(measure_stack(source, together)?);
    }
    Ok(fitted)
}

fn measure_stack(source: &dyn Source, runs: Vec<Settled>) -> Result<Vec<Fitted>, ClusteringError> {
    let width = source.width();
    let stack = Stack::new(
        width,
        source.rows(),
        runs.iter().map(|run| run.centroids.as_slice()),
    );
    let tally = pass(source, &stack, Want::DISTANCES, |_| Ok(()))?;
    let fitted = runs
        .into_iter()
        .zip(stack.spans())
        .map(|(settled, span)| Fitted {
            settled,
            counts: tally.counts[span.clone()].to_vec(),
            inertia: tally.squares[span.clone()].iter().sum(),
            distances: tally.distances[span.clone()].to_vec(),
        });
    Ok(fitted.collect())
}

/// Keeps the lowest inertia of each number of clusters, the earlier start of equals. Runs come in
/// order of clusters.
pub(crate) fn best_of_starts(
    source: &dyn Source,
    runs: Vec<Settled>,
) -> Result<Vec<Settled>, ClusteringError> {
    let alone = runs
        .windows(2)
        .all(|pair| pair[0].centroids.len() != pair[1].centroids.len());
    if alone {
        return Ok(runs);
    }
    let mut best: Vec<Fitted> = Vec::new();
    for run in measure(source, runs)? {
        match best.last_mut() {
            Some(held) if held.clusters() == run.clusters() => {
                if run.inertia < held.inertia {
                    *held = run;
                }
            }
            _ => best.push(run),
        }
    }
    Ok(best.into_iter().map(|run| run.settled).collect())
}

/// The candidate with the lowest index; equal indices keep fewer clusters, and a candidate without
/// an index wins only if there is no other. Candidates come in ascending order.
pub(crate) fn lowest_index<T>(candidates: Vec<(T, Option<f64>)>) -> Option<(T, Option<f64>)> {
    let rank = |index: Option<f64>| index.unwrap_or(f64::INFINITY);
    candidates
        .into_iter()
        .min_by(|a, b| rank(a.1).total_cmp(&rank(b.1)))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn run(centroids: &[f32], iterations: u64) -> Settled {
        Settled {
            centroids: centroids.to_vec(),
            iterations,
        }
    }

    #[test]
    fn the_best_start_stands_for_its_candidate() {
        let rows = array![[0.0_f32], [1.0], [10.0], [11.0]];
        let runs = vec![
            run(&[0.0, 11.0], 0),
            run(&[0.5, 10.5], 1),
            run(&[0.5, 10.5], 2),
            run(&[0.0, 1.0, 10.0], 3),
            run(&[0.0, 5.0, 9.0], 4),
        ];
        let best = best_of_starts(&rows.view(), runs).unwrap();
        let kept: Vec<u64> = best.iter().map(|run| run.iterations).collect();
        assert_eq!(kept, [1, 3]);
    }

    #[test]
    fn runs_measured_together_are_measured_as_if_alone() {
        let rows = Array2::from_shape_fn((1000, 1), |(row, _)| (row % 37) as f32);
        let runs = [vec![3.0], vec![2.0, 30.0], vec![1.0, 9.0, 40.0]];
        let settled = || runs.iter().map(|centroids| run(centroids, 0));
        let together = measure(&rows.view(), settled().collect()).unwrap();
        for (fitted, alone) in together.iter().zip(settled()) {
            let alone = measure(&rows.view(), vec![alone]).unwrap().remove(0);
            assert_eq!(fitted.inertia, alone.inertia);
            assert_eq!(fitted.counts, alone.counts);
            assert_eq!(fitted.index(), alone.index());
        }
    }

    #[test]
    fn the_lowest_index_wins_then_fewer_clusters_and_none_loses() {
        let chosen = |candidates: &[(u32, Option<f64>)]| {
            lowest_index(candidates.to_vec()).map(|(clusters, _)| clusters)
        };
        let some = [(2, None), (3, Some(0.5)), (4, Some(0.5)), (5, Some(0.7))];
        assert_eq!(chosen(&some), Some(3));
        assert_eq!(chosen(&[(2, None), (3, None)]), Some(2));
        assert_eq!(chosen(&[]), None);
    }
}
