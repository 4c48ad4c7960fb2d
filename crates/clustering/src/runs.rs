//! Which runs share a read of the rows, and what they report while they do.

use std::ops::RangeInclusive;

use crate::ClusteringError;
use crate::kernel::PANEL_CLUSTERS;
use crate::progress::{Observer, Progress, Stage, report};

/// The numbers of clusters to try, ascending and without gaps, hence never empty.
#[derive(Clone)]
pub(crate) struct Candidates(RangeInclusive<usize>);

/// One number of clusters from one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) clusters: usize,
    pub(crate) start: usize,
}

/// Reports the advance of a fit, stack by stack.
pub(crate) struct Reporter<'a, 'b> {
    pub(crate) observer: &'a mut Observer<'b>,
    pub(crate) total: usize,
    pub(crate) finished: usize,
    pub(crate) iteration_limit: u64,
}

impl Candidates {
    /// A single number of clusters; at least 1 and at most `rows`.
    pub(crate) fn fixed(clusters: usize, rows: usize) -> Result<Self, ClusteringError> {
        if clusters < 1 {
            return Err(ClusteringError::NoClusters);
        }
        if clusters > rows {
            return Err(ClusteringError::TooManyClusters { clusters, rows });
        }
        Ok(Self(clusters..=clusters))
    }

    /// Every number from `min`, at least 2, to `max` or one less than `rows`: the range in which
    /// the Davies–Bouldin index means something.
    pub(crate) fn range(min: usize, max: usize, rows: usize) -> Result<Self, ClusteringError> {
        if min < 2 {
            return Err(ClusteringError::RangeTooLow { min });
        }
        if min > max {
            return Err(ClusteringError::RangeEmpty { min, max });
        }
        if min >= rows {
            return Err(ClusteringError::TooFewRows { min, rows });
        }
        Ok(Self(min..=max.min(rows - 1)))
    }

    pub(crate) fn largest(&self) -> usize {
        *self.0.end()
    }

    pub(crate) fn span(&self) -> RangeInclusive<usize> {
        self.0.clone()
    }

    /// Runs in order of clusters, then start, cut into stacks that are advanced together: as many
    /// as one panel of the kernel multiplies at a time, at least one.
    pub(crate) fn stacks(&self, starts: usize) -> impl Iterator<Item = Vec<Run>> + use<> {
        let mut runs = self
            .0
            .clone()
            .flat_map(move |clusters| (0..starts).map(move |start| Run { clusters, start }))
            .peekable();
        std::iter::from_fn(move || {
            let mut stack = vec![runs.next()?];
            let mut room = PANEL_CLUSTERS.saturating_sub(stack[0].clusters);
            while let Some(run) = runs.next_if(|run| run.clusters <= room) {
                room -= run.clusters;
                stack.push(run);
            }
            Some(stack)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.0.end() - self.0.start() + 1
    }
}

impl Reporter<'_, '_> {
    /// `settled` counts the stack's own runs that have come to rest.
    pub(crate) fn report(
        &mut self,
        stage: Stage,
        stack: &[Run],
        settled: usize,
        iteration: u64,
    ) -> Result<(), ClusteringError> {
        let clusters = |run: Option<&Run>| run.map_or(0, |run| run.clusters);
        let progress = Progress {
            stage,
            clusters: clusters(stack.first())..=clusters(stack.last()),
            done: self.finished + settled,
            total: self.total,
            iteration,
            iteration_limit: self.iteration_limit,
        };
        report(self.observer, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_hold_every_run_once_and_fit_a_panel() {
        let candidates = Candidates::range(2, 100, 1000).unwrap();
        let stacks: Vec<_> = candidates.stacks(3).collect();
        let runs: Vec<_> = stacks.concat();
        assert_eq!(runs.len(), 3 * candidates.len());
        assert!(runs.is_sorted_by_key(|run| (run.clusters, run.start)));
        for stack in &stacks {
            let clusters: usize = stack.iter().map(|run| run.clusters).sum();
            assert!(clusters <= PANEL_CLUSTERS, "{stack:?}");
        }
        assert!(stacks.len() < runs.len() / 2);
        assert_eq!(Candidates::fixed(300, 300).unwrap().stacks(2).count(), 2);
    }

    #[test]
    fn the_range_is_checked_and_cut_to_the_rows() {
        assert_eq!(Candidates::range(2, 20, 5).unwrap().span(), 2..=4);
        assert_eq!(Candidates::range(2, usize::MAX, 50).unwrap().largest(), 49);
        let error = |min, max, rows| Candidates::range(min, max, rows).err().unwrap();
        assert!(matches!(
            error(1, 5, 100),
            ClusteringError::RangeTooLow { min: 1 }
        ));
        assert!(matches!(
            error(6, 5, 100),
            ClusteringError::RangeEmpty { min: 6, max: 5 }
        ));
        assert!(matches!(
            error(2, 20, 2),
            ClusteringError::TooFewRows { min: 2, rows: 2 }
        ));
    }
}
