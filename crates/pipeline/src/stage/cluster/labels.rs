//! Classes of samples, by label.

use super::super::{Context, StageError};
use crate::packs::PackSource;
use curriculum_clustering::Source;
use curriculum_store::SampleRecord;
use std::collections::HashMap;

/// Classes of the usable samples.
pub(super) struct Labels {
    /// Class by row.
    pub(super) of_row: Vec<u32>,
    /// Label by class, in order of appearance.
    pub(super) names: Vec<String>,
}

impl Labels {
    /// Classes in order of appearance.
    pub(super) fn read(cx: &Context<'_>, source: &PackSource<'_>) -> Result<Self, StageError> {
        Self::read_known(cx, source, Vec::new())
    }

    /// Numbers those of `names` first, and others in order of appearance.
    pub(super) fn read_known(
        cx: &Context<'_>,
        source: &PackSource<'_>,
        mut names: Vec<String>,
    ) -> Result<Self, StageError> {
        let known = names.iter().cloned().zip(0..);
        let mut numbers: HashMap<String, u32> = known.collect();
        let mut of_row = Vec::with_capacity(source.rows());
        let mut next = 0;
        while next < cx.job.sample_count {
            cx.check_interrupt()?;
            let samples = cx
                .store
                .some_samples(cx.job.listing, next..cx.job.sample_count)?;
            for (index, sample) in (next..).zip(&samples) {
                if of_row.len() == source.rows() || source.sample(of_row.len()) as u64 != index {
                    continue;
                }
                let label = label(sample, index)?;
                let number = numbers.entry(label.to_owned()).or_insert_with(|| {
                    names.push(label.to_owned());
                    names.len() as u32 - 1
                });
                of_row.push(*number);
            }
            next += samples.len() as u64;
        }
        Ok(Self { of_row, names })
    }

    pub(super) fn name(&self, class: u32) -> &str {
        self.names.get(class as usize).map_or("", String::as_str)
    }
}

fn label(sample: &SampleRecord, index: u64) -> Result<&str, StageError> {
    sample.label.as_deref().ok_or_else(|| {
        let id = &sample.id;
        StageError::Failed(format!("sample {index} (`{id}`) has no label"))
    })
}
