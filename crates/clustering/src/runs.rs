//! Which runs share a read of the rows, and what they report while they do.

use crate::ClusteringError;
use crate::progress::{Observer, Progress, Stage, report};

/// Clusters that are advanced together: what keeps their sums within some ten megabytes.
pub(crate) const STACK_CLUSTERS: usize = 4096;

/// The numbers of clusters to try, ascending, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidates(Vec<usize>);

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
    /// Some numbers of clusters, each at least 1 and at most `rows`.
    pub(crate) fn list(mut numbers: Vec<usize>, rows: usize) -> Result<Self, ClusteringError> {
        numbers.sort_unstable();
        numbers.dedup();
        match (numbers.first(), numbers.last()) {
            (None, _) | (_, None) => Err(ClusteringError::NoCandidates),
            (Some(0), _) => Err(ClusteringError::NoClusters),
            (_, Some(&clusters)) if clusters > rows => {
                Err(ClusteringError::TooManyClusters { clusters, rows })
            }
            _ => Ok(Self(numbers)),
        }
    }

    /// A single number of clusters; at least 1 and at most `rows`.
    pub(crate) fn fixed(clusters: usize, rows: usize) -> Result<Self, ClusteringError> {
        Self::list(vec![clusters], rows)
    }

    pub(crate) fn smallest(&self) -> usize {
        self.0[0]
    }

    pub(crate) fn largest(&self) -> usize {
        self.0[self.0.len() - 1]
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Runs in order of clusters, then start, cut into stacks that are advanced together, each of
    /// at least one run.
    pub(crate) fn stacks(&self, starts: usize) -> Vec<Vec<Run>> {
        let mut stacks: Vec<Vec<Run>> = Vec::new();
        let mut room = 0;
        for &clusters in &self.0 {
            for start in 0..starts {
                let run = Run { clusters, start };
                match stacks.last_mut() {
                    Some(stack) if clusters <= room => {
                        room -= clusters;
                        stack.push(run);
                    }
                    _ => {
                        room = STACK_CLUSTERS.saturating_sub(clusters);
                        stacks.push(vec![run]);
                    }
                }
            }
        }
        stacks
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
    fn stacks_hold_every_run_once_and_keep_their_size() {
        let candidates = Candidates::list((2..=300).collect(), 1000).unwrap();
        let stacks = candidates.stacks(3);
        let runs: Vec<_> = stacks.concat();
        assert_eq!(runs.len(), 3 * candidates.len());
        assert!(runs.is_sorted_by_key(|run| (run.clusters, run.start)));
        for stack in &stacks {
            let clusters: usize = stack.iter().map(|run| run.clusters).sum();
            assert!(clusters <= STACK_CLUSTERS, "{stack:?}");
        }
        assert!(stacks.len() < runs.len() / 10);
        let large = Candidates::fixed(5000, 5000).unwrap();
        assert_eq!(large.stacks(2).len(), 2);
    }

    #[test]
    fn a_list_is_sorted_and_checked() {
        let list = |numbers: &[usize]| Candidates::list(numbers.to_vec(), 50);
        assert_eq!(list(&[7, 2, 7]).unwrap().0, [2, 7]);
        assert!(matches!(list(&[]), Err(ClusteringError::NoCandidates)));
        assert!(matches!(list(&[3, 0]), Err(ClusteringError::NoClusters)));
        assert!(matches!(
            list(&[3, 51]),
            Err(ClusteringError::TooManyClusters {
                clusters: 51,
                rows: 50
            })
        ));
    }
}
