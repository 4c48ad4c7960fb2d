//! Classes of samples.

use crate::FitError;
use std::fmt;

/// Classes named in a warning, at most.
const NAMED: usize = 10;

/// What a user should know about a fit that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Classes with fewer samples than clusters asked for: all of their samples have difficulty 1, as
    /// in the public code.
    SmallClasses(Vec<u32>),
    /// The rule of the smallest cluster had nothing to measure against.
    NoLargeCluster {
        /// What was asked for.
        min_cluster_size: u64,
        /// Samples of the largest cluster.
        largest: u64,
    },
}

impl Warning {
    /// A sentence; `name` gives the name of a class.
    pub fn describe<N: fmt::Display>(&self, name: impl Fn(u32) -> N) -> String {
        match self {
            Self::SmallClasses(classes) => {
                let named = classes.iter().take(NAMED);
                let names: Vec<String> = named.map(|id| format!("`{}`", name(*id))).collect();
                let more = match classes.len().saturating_sub(NAMED) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!(
                    "classes with fewer samples than clusters asked for, whose samples are all hardest: {}{more}",
                    names.join(", ")
                )
            }
            Self::NoLargeCluster {
                min_cluster_size,
                largest,
            } => format!(
                "min_cluster_size is {min_cluster_size}, but the largest cluster has {largest} samples: it was not applied"
            ),
        }
    }
}

/// Classes, numbered without gaps in the order of their ids.
pub(super) struct Classes {
    /// Number by row.
    pub(super) of_row: Vec<u32>,
    /// Given id by number, ascending.
    pub(super) ids: Vec<u32>,
}

impl Classes {
    pub(super) fn new(of_row: &[u32], rows: usize) -> Result<Self, FitError> {
        if of_row.len() != rows {
            return Err(FitError::Classes {
                given: of_row.len(),
                rows,
            });
        }
        let mut ids = of_row.to_vec();
        ids.sort_unstable();
        ids.dedup();
        ids.shrink_to_fit();
        let number = |id: &u32| ids.partition_point(|known| known < id) as u32;
        Ok(Self {
            of_row: of_row.iter().map(number).collect(),
            ids,
        })
    }

    pub(super) fn id(&self, number: u32) -> u32 {
        self.ids.get(number as usize).copied().unwrap_or(number)
    }

    /// True for each of the classes of these numbers.
    pub(super) fn mask(&self, numbers: &[u32]) -> Vec<bool> {
        let mut mask = vec![false; self.ids.len()];
        for number in numbers {
            if let Some(entry) = mask.get_mut(*number as usize) {
                *entry = true;
            }
        }
        mask
    }

    pub(super) fn warn(&self, small: &[u32]) -> Option<Warning> {
        let ids = || small.iter().map(|number| self.id(*number)).collect();
        (!small.is_empty()).then(|| Warning::SmallClasses(ids()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_gaps() {
        let classes = Classes::new(&[u32::MAX, 7, u32::MAX, 3], 4).unwrap();
        assert_eq!(classes.of_row, [2, 1, 2, 0]);
        assert_eq!((classes.id(2), classes.ids.len()), (u32::MAX, 3));
        assert_eq!(classes.mask(&[2]), [false, false, true]);
        assert_eq!(classes.warn(&[]), None);
        let warning = classes.warn(&[1, 2]);
        assert_eq!(warning, Some(Warning::SmallClasses(vec![7, u32::MAX])));
    }

    #[test]
    fn a_warning_names_some_and_counts_the_rest() {
        let text = Warning::SmallClasses((0..13).collect()).describe(|id| format!("class {id}"));
        assert!(text.contains("`class 9` and 3 more"), "{text}");
        let text = Warning::SmallClasses(vec![4]).describe(|id| id);
        assert!(text.ends_with("`4`"), "{text}");
    }
}
