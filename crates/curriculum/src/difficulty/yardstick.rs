//! What a score is measured against once a fit is over: for samples that come later.

use super::{FAILED, Normalization};

/// Smallest and largest score of a group's native members.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range(pub(super) f32, pub(super) f32);

/// The ranges of finished groups. A score beyond its range is clipped.
#[derive(Clone, Debug, PartialEq)]
pub struct Yardstick {
    normalization: Normalization,
    ranges: Vec<Range>,
    all: Range,
}

impl Yardstick {
    /// Of groups with these ranges. There is none for ranks: they are among the members, and a sample
    /// that comes later would shift them.
    #[must_use]
    pub fn new(normalization: Normalization, ranges: Vec<Range>) -> Option<Self> {
        let all = ranges.iter().copied().fold(Range::EMPTY, Range::union);
        let yardstick = Self {
            normalization,
            ranges,
            all,
        };
        match normalization {
            Normalization::ClusterRank => None,
            Normalization::ClusterMinMax | Normalization::GlobalMinMax | Normalization::None => {
                Some(yardstick)
            }
        }
    }

    /// Difficulty of a score in `group`, as a visitor there: [`FAILED`] in a group without native
    /// members.
    #[must_use]
    pub fn difficulty(&self, score: f32, group: usize) -> f32 {
        let range = self.ranges.get(group).copied().unwrap_or(Range::EMPTY);
        if range.ends().is_none() {
            return FAILED;
        }
        match self.normalization {
            Normalization::None => score,
            Normalization::GlobalMinMax => self.all.place(score),
            Normalization::ClusterMinMax | Normalization::ClusterRank => range.place(score),
        }
    }
}

impl Range {
    pub(super) const EMPTY: Self = Self(f32::INFINITY, f32::NEG_INFINITY);

    /// From `lowest` to `highest`; without ends it is that of no score.
    #[must_use]
    pub fn new(ends: Option<(f32, f32)>) -> Self {
        ends.map_or(Self::EMPTY, |(lowest, highest)| Self(lowest, highest))
    }

    /// Lowest and highest score; none if there was no score.
    #[must_use]
    pub fn ends(self) -> Option<(f32, f32)> {
        (self.0 <= self.1).then_some((self.0, self.1))
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0.min(other.0), self.1.max(other.1))
    }

    pub(super) fn place(self, score: f32) -> f32 {
        let (min, max) = (f64::from(self.0), f64::from(self.1));
        if max > min {
            ((f64::from(score) - min) / (max - min)).clamp(0.0, 1.0) as f32
        } else {
            f32::from(score > self.1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difficulty::Scores;

    /// The second group is uniform; sample 4 visits the first.
    #[test]
    fn members_measured_again_keep_their_difficulty() {
        let (score, group) = ([0.5, 1.0, 3.0, 0.2, 9.0, 0.7], [0, 0, 0, 1, 0, 2]);
        let scores = Scores {
            score: &score,
            group: &group,
            groups: 3,
            visitor: &[false, false, false, false, true, false],
            uniform: &[false, true, false],
        };
        for normalization in [
            Normalization::ClusterMinMax,
            Normalization::GlobalMinMax,
            Normalization::None,
        ] {
            let ranges = scores.ranges().into_iter();
            let ranges = ranges.map(|range| Range::new(range.ends())).collect();
            let yardstick = Yardstick::new(normalization, ranges).unwrap();
            let fitted = scores.difficulty(normalization);
            for sample in [0, 1, 2, 4, 5] {
                let again = yardstick.difficulty(score[sample], group[sample] as usize);
                assert_eq!(again, fitted[sample], "{normalization:?} {sample}");
            }
            assert_eq!(yardstick.difficulty(score[3], 1), FAILED);
        }
        assert!(Yardstick::new(Normalization::ClusterRank, scores.ranges()).is_none());
    }

    #[test]
    fn scores_beyond_the_range_are_clipped() {
        let range = |low, high| Range::new(Some((low, high)));
        let yardstick = Yardstick::new(Normalization::ClusterMinMax, vec![range(1.0, 3.0)]);
        let yardstick = yardstick.unwrap();
        assert_eq!(
            [0.5, 2.0, 4.0].map(|s| yardstick.difficulty(s, 0)),
            [0.0, 0.5, 1.0]
        );
        assert_eq!(yardstick.difficulty(2.0, 7), FAILED);
    }
}
