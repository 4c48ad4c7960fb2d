//! Automatic k: which numbers of clusters are tried, and the curve of the index against them.
//!
//! Each round fits its candidates and measures all of them in one read of the rows. Up to
//! [`ALL_TRIED`] numbers are one round. A wider range begins with as many numbers in geometric
//! steps as fit half of that, and each further round looks between the neighbours of the best so
//! far, until there is no number left between them.

use std::collections::BTreeMap;

use crate::ClusteringError;
use crate::cluster::{Clusters, Options};
use crate::progress::Observer;
use crate::runs::Candidates;
use crate::selection::{Fitted, Settled, lowest_index, measure};
use crate::source::Source;

/// Candidates up to which none is left out.
const ALL_TRIED: usize = 32;

/// Candidates of a round of the search from coarse to fine.
const PER_ROUND: usize = 16;

/// Settled centroids of the chosen number of clusters, and the index of every candidate that has
/// one; a single candidate is not measured.
pub(crate) fn search(
    source: &dyn Source,
    options: &Options,
    observer: &mut Observer<'_>,
) -> Result<(Settled, Vec<(usize, f64)>), ClusteringError> {
    let rows = source.rows();
    let (min, max) = match &options.clusters {
        Clusters::Fixed(clusters) => {
            let candidates = Candidates::fixed(*clusters, rows)?;
            let settled = options.fit(source, &candidates, observer)?.pop();
            return Ok((settled.ok_or(ClusteringError::NoClusters)?, Vec::new()));
        }
        Clusters::OneOf(numbers) => {
            let candidates = Candidates::list(numbers.clone(), rows)?;
            check_lowest(candidates.smallest())?;
            return Rounds::default().finish(source, options, &candidates, observer);
        }
        Clusters::Auto { min, max } => range(*min, *max, rows)?,
    };
    let mut rounds = Rounds::default();
    let mut candidates = geometric(min, max);
    while candidates.len() + rounds.curve.len() <= max - min {
        let next = Candidates::list(candidates, rows)?;
        rounds.run(source, options, &next, observer)?;
        candidates = rounds.between_neighbours();
        if candidates.is_empty() {
            return rounds.chosen();
        }
    }
    rounds.finish(
        source,
        options,
        &Candidates::list(candidates, rows)?,
        observer,
    )
}

/// The best candidate so far, and the index of all.
#[derive(Default)]
struct Rounds {
    best: Option<(Fitted, Option<f64>)>,
    curve: BTreeMap<usize, Option<f64>>,
}

impl Rounds {
    fn run(
        &mut self,
        source: &dyn Source,
        options: &Options,
        candidates: &Candidates,
        observer: &mut Observer<'_>,
    ) -> Result<(), ClusteringError> {
        let settled = options.fit(source, candidates, observer)?;
        let fitted = measure(source, settled)?.into_iter();
        let mut fitted: Vec<_> = fitted
            .map(|candidate| {
                let index = candidate.index();
                (candidate, index)
            })
            .collect();
        for (candidate, index) in &fitted {
            self.curve.insert(candidate.clusters(), *index);
        }
        fitted.extend(self.best.take());
        fitted.sort_by_key(|(candidate, _)| candidate.clusters());
        self.best = lowest_index(fitted);
        Ok(())
    }

    fn finish(
        mut self,
        source: &dyn Source,
        options: &Options,
        candidates: &Candidates,
        observer: &mut Observer<'_>,
    ) -> Result<(Settled, Vec<(usize, f64)>), ClusteringError> {
        self.run(source, options, candidates, observer)?;
        self.chosen()
    }

    fn chosen(self) -> Result<(Settled, Vec<(usize, f64)>), ClusteringError> {
        let (best, _) = self.best.ok_or(ClusteringError::NoClusters)?;
        let curve = self.curve.into_iter();
        let curve = curve.filter_map(|(clusters, index)| Some((clusters, index?)));
        Ok((best.settled, curve.collect()))
    }

    /// Numbers not tried yet between the best and what was tried on either side of it.
    fn between_neighbours(&self) -> Vec<usize> {
        let Some(best) = self.best.as_ref().map(|(best, _)| best.clusters()) else {
            return Vec::new();
        };
        let below = self
            .curve
            .range(..best)
            .next_back()
            .map_or(best, |(k, _)| *k);
        let above = self
            .curve
            .range(best + 1..)
            .next()
            .map_or(best, |(k, _)| *k);
        let mut numbers = even_steps(below, best);
        numbers.extend(even_steps(best, above));
        numbers
    }
}

/// Up to half a round of numbers strictly between `low` and `high`.
fn even_steps(low: usize, high: usize) -> Vec<usize> {
    let count = (high - low).saturating_sub(1).min(PER_ROUND / 2);
    (1..=count)
        .map(|step| low + step * (high - low) / (count + 1))
        .collect()
}

/// All numbers from `min` to `max`, or a round of them in geometric steps.
fn geometric(min: usize, max: usize) -> Vec<usize> {
    if max - min < ALL_TRIED {
        return (min..=max).collect();
    }
    let ratio = max as f64 / min as f64;
    let number = |step: usize| {
        let share = step as f64 / (PER_ROUND - 1) as f64;
        ((min as f64 * ratio.powf(share)).round() as usize).clamp(min, max)
    };
    let mut numbers: Vec<usize> = (0..PER_ROUND).map(number).collect();
    numbers.dedup();
    numbers
}

fn check_lowest(min: usize) -> Result<(), ClusteringError> {
    if min < 2 {
        return Err(ClusteringError::RangeTooLow { min });
    }
    Ok(())
}

/// From `min` to `max` or one less than `rows`: the range in which the index means something.
fn range(min: usize, max: usize, rows: usize) -> Result<(usize, usize), ClusteringError> {
    check_lowest(min)?;
    if min > max {
        return Err(ClusteringError::RangeEmpty { min, max });
    }
    if min >= rows {
        return Err(ClusteringError::TooFewRows { min, rows });
    }
    Ok((min, max.min(rows - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_checked_and_cut_to_the_rows() {
        assert_eq!(range(2, 20, 5).unwrap(), (2, 4));
        assert_eq!(range(2, usize::MAX, 50).unwrap(), (2, 49));
        let error = |min, max, rows| range(min, max, rows).err().unwrap();
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

    #[test]
    fn narrow_ranges_are_tried_in_full_and_wide_ones_in_geometric_steps() {
        assert_eq!(geometric(2, 20), (2..=20).collect::<Vec<_>>());
        let wide = geometric(2, 2000);
        assert!(wide.len() <= PER_ROUND && wide.is_sorted());
        assert_eq!((wide[0], wide[wide.len() - 1]), (2, 2000));
    }

    #[test]
    fn steps_lie_strictly_between_and_close_every_gap() {
        assert!(even_steps(4, 5).is_empty());
        assert_eq!(even_steps(4, 7), [5, 6]);
        assert_eq!(even_steps(0, 90), [10, 20, 30, 40, 50, 60, 70, 80]);
    }
}
