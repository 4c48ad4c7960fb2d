//! Features of a manifest's samples, in this process, on the path that a job takes.

use crate::{
    exit::{BadInput, Interrupted},
    parameters::{FailureArgs, MAX_FAILED_FRACTION, ModelArgs},
    work::Watch,
};
use curriculum_extractor::{Extractor, ReadError, Timing};
use curriculum_manifest::{Access, Kind, Manifest, Source};
use curriculum_server::{Config, Overrides, config::Model};
use std::{borrow::Cow, ops::ControlFlow, path::Path};

/// Samples between two reports.
const REPORTED: usize = 16;

/// Takes each sample's index with its features, or the reason why it has none.
pub(crate) type Sink<'a> = dyn FnMut(usize, Result<&[f32], &str>) -> anyhow::Result<()> + 'a;

/// How features are extracted.
pub(crate) struct Extraction {
    model: Model,
    /// Share of samples, 0 to 1, that may fail.
    max_failed_fraction: f64,
}

impl Extraction {
    /// The settings of a server apply here too, its file apart.
    ///
    /// # Errors
    /// [`BadInput`] for settings that cannot be used.
    pub(crate) fn new(
        model: &ModelArgs,
        failures: FailureArgs,
        threads: usize,
    ) -> Result<Self, BadInput> {
        let overrides = Overrides {
            model: model.overrides(Some(threads)),
            ..Overrides::default()
        };
        let config = Config::load(None, &overrides);
        let config = config.map_err(|error| BadInput(error.to_string()))?;
        Ok(Self {
            model: config.model,
            max_failed_fraction: failures.max_failed_fraction.unwrap_or(MAX_FAILED_FRACTION),
        })
    }

    /// The model, loaded.
    ///
    /// # Errors
    /// [`BadInput`] for a model or an execution provider that cannot be used.
    pub(crate) fn open(&self) -> Result<Extractor, BadInput> {
        let (model, options) = self
            .model
            .load()
            .map_err(|error| BadInput(format!("--model: {error}")))?;
        Extractor::open(&model, &options).map_err(|error| BadInput(error.to_string()))
    }

    /// Hands each sample's features, or the reason why it has none, to `sink`, in manifest order.
    ///
    /// # Errors
    /// [`BadInput`] when too many samples fail; [`Interrupted`]; that of `sink`.
    pub(crate) fn run(
        &self,
        manifest: &Manifest,
        extractor: &mut Extractor,
        watch: &mut Watch,
        sink: &mut Sink<'_>,
    ) -> anyhow::Result<Timing> {
        match manifest.kind() {
            Kind::Images => {}
            kind @ (Kind::Features { .. } | Kind::Assignments) => {
                let reason = format!("the source holds {kind}, which no model reads");
                return Err(BadInput(reason).into());
            }
        }
        let (total, mut failed) = (manifest.len() as usize, 0);
        let mut outcome: anyhow::Result<()> = Ok(());
        let mut take = |index: usize, row: Result<&[f32], String>| -> anyhow::Result<()> {
            let shown = index.is_multiple_of(REPORTED);
            if shown && watch.extracting(index, total).is_break() {
                return Err(Interrupted.into());
            }
            sink(index, row.as_ref().copied().map_err(String::as_str))?;
            match row {
                Ok(_) => Ok(()),
                Err(reason) => {
                    failed += 1;
                    Ok(self.check(manifest, failed, (index, &reason))?)
                }
            }
        };
        let timing = extractor.run(
            &mut (0..total),
            &|index| {
                let bytes = manifest.read(index as u64).map(Cow::Owned);
                bytes.map_err(|error| ReadError::Sample(error.to_string()))
            },
            &mut |index, row| {
                outcome = take(index, row);
                match outcome {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            },
        );
        outcome?;
        Ok(timing?)
    }

    /// Whether so many samples, this one the last, may fail.
    fn check(
        &self,
        manifest: &Manifest,
        failed: usize,
        (index, reason): (usize, &str),
    ) -> Result<(), BadInput> {
        let (total, allowed) = (manifest.len() as usize, self.max_failed_fraction);
        if failed < total && failed as f64 <= allowed * total as f64 {
            return Ok(());
        }
        let id = manifest
            .sample(index as u64)
            .map_or("".into(), |sample| sample.id);
        Err(BadInput(format!(
            "{failed} of {total} samples failed so far, --max-failed-fraction is {allowed}; the last is \
             sample {index} (`{id}`): {reason}"
        )))
    }
}

/// The samples at `source`.
///
/// # Errors
/// [`BadInput`] when it cannot be listed.
pub(crate) fn open(source: &Path) -> Result<Manifest, BadInput> {
    let uri = source
        .to_str()
        .ok_or_else(|| BadInput(format!("{}: must be a path in UTF-8", source.display())))?;
    Manifest::open(&Source::new(uri), &Access::unrestricted(), &mut |_| {
        ControlFlow::Continue(())
    })
    .map_err(|error| BadInput(error.to_string()))
}
