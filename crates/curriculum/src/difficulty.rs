//! From scores to difficulty.
//!
//! A score s is larger for a harder sample: the distance to its centroid, or another. Difficulty
//! makes scores comparable between groups (clusters, or classes in supervised mode). Over the native
//! members of a group, n of them, with smallest score a and largest b:
//!
//! | normalisation | difficulty |
//! |---|---|
//! | cluster-minmax | (s − a)/(b − a); 0 where b = a |
//! | cluster-rank | (members with a lower score + ½ (members with the same score − 1))/(n − 1); 0 where n = 1 |
//! | global-minmax | (s − a)/(b − a) over the members of all groups |
//! | none | s |
//!
//! A *visitor*, a sample of a cluster too small to define a range of its own, is measured against
//! another group: the same formulas, clipped to [0, 1], without a part in a, b and n; beyond a range
//! of zero width, or in a group without native members, it gets 1. Without the rule an isolated
//! outlier, alone in its cluster, would be a perfect prototype.

mod yardstick;

pub use yardstick::{Range, Yardstick};

use rayon::prelude::*;

/// Difficulty of a sample whose features could not be computed: the hardest.
pub const FAILED: f32 = 1.0;

/// What the scores are related to; the module's table has the formulas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Normalization {
    /// The range of the sample's group, as in the paper.
    #[default]
    ClusterMinMax,
    /// The ranks within the sample's group.
    ClusterRank,
    /// The range over all groups.
    GlobalMinMax,
    /// Nothing.
    None,
}

/// Scores of N samples in groups.
#[derive(Clone, Copy, Debug)]
pub struct Scores<'a> {
    /// Score by sample; NaN or infinite for a sample without features.
    pub score: &'a [f32],
    /// Group by sample, as long as `score`; beyond the last (`u32::MAX`) for one without features.
    pub group: &'a [u32],
    /// Number of groups.
    pub groups: usize,
    /// Whether the sample is a visitor in its group; empty if none is.
    pub visitor: &'a [bool],
    /// Whether all samples of a group get difficulty 1, as in the public code the classes with fewer
    /// samples than clusters asked for; empty if none does.
    pub uniform: &'a [bool],
}

impl Scores<'_> {
    /// Difficulty by sample. It lies in [0, 1], except without normalisation; samples without
    /// features, or of a uniform group, get the largest of 1 and the others.
    #[must_use]
    pub fn difficulty(&self, normalization: Normalization) -> Vec<f32> {
        let difficulty = match normalization {
            Normalization::ClusterMinMax => {
                let ranges = self.ranges();
                self.map(|score, group| ranges[group].place(score))
            }
            Normalization::ClusterRank => {
                let members = self.sorted_members();
                self.map(|score, group| rank(&members[group], score))
            }
            Normalization::GlobalMinMax => {
                let ranges = self.ranges().into_iter();
                let range = ranges.fold(Range::EMPTY, Range::union);
                self.map(|score, _| range.place(score))
            }
            Normalization::None => self.map(|score, _| score),
        };
        fill_hardest(&difficulty)
    }

    /// Applies `normalize` to score and group of the samples that have both.
    fn map(&self, normalize: impl Fn(f32, usize) -> f32 + Sync) -> Vec<Option<f32>> {
        let samples = 0..self.score.len().min(self.group.len());
        let difficulty = |i| {
            let group = self.usable_group(i)?;
            Some(normalize(self.score[i], group))
        };
        samples.into_par_iter().map(difficulty).collect()
    }

    /// The group of a sample whose difficulty follows from its score.
    fn usable_group(&self, sample: usize) -> Option<usize> {
        let group = self.group[sample] as usize;
        let uniform = self.uniform.get(group).copied().unwrap_or(false);
        (group < self.groups && self.score[sample].is_finite() && !uniform).then_some(group)
    }

    /// Score and group of the samples that are at home in their group.
    fn natives(&self) -> impl Iterator<Item = (f32, usize)> {
        (0..self.score.len().min(self.group.len())).filter_map(|i| {
            let visits = self.visitor.get(i).copied().unwrap_or(false);
            let group = self.usable_group(i)?;
            (!visits).then_some((self.score[i], group))
        })
    }

    /// The range of the native members of each group; that of a uniform group is empty.
    #[must_use]
    pub fn ranges(&self) -> Vec<Range> {
        let mut ranges = vec![Range::EMPTY; self.groups];
        for (score, group) in self.natives() {
            ranges[group] = ranges[group].union(Range(score, score));
        }
        ranges
    }

    fn sorted_members(&self) -> Vec<Vec<f32>> {
        let mut members = vec![Vec::new(); self.groups];
        for (score, group) in self.natives() {
            members[group].push(score);
        }
        members
            .par_iter_mut()
            .for_each(|scores| scores.sort_unstable_by(f32::total_cmp));
        members
    }
}

fn rank(sorted: &[f32], score: f32) -> f32 {
    let below = sorted.partition_point(|s| *s < score);
    let same = sorted[below..].partition_point(|s| *s <= score);
    if sorted.len() < 2 {
        return f32::from(below == sorted.len() && same == 0);
    }
    let mean_rank = below as f64 + (same as f64 - 1.0) / 2.0;
    (mean_rank / (sorted.len() - 1) as f64).clamp(0.0, 1.0) as f32
}

fn fill_hardest(difficulty: &[Option<f32>]) -> Vec<f32> {
    let hardest = difficulty.iter().flatten().copied().fold(FAILED, f32::max);
    difficulty.iter().map(|d| d.unwrap_or(hardest)).collect()
}

/// Counts difficulties in `bins` equal bins over [0, 1]; 1 falls in the last, and values outside in
/// the bin at their end (NaN in the first).
#[must_use]
pub fn histogram(difficulty: &[f32], bins: usize) -> Vec<u64> {
    let mut counts = vec![0; bins];
    let Some(last) = bins.checked_sub(1) else {
        return counts;
    };
    for d in difficulty {
        let bin = (f64::from(*d) * bins as f64) as usize;
        counts[bin.min(last)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
