//! `curriculum fit`, without a server: from a file of features, or images, to difficulties.
//!
//! | module | holds |
//! |---|---|
//! | `dataset` | what is fitted: a mapped file of features, classes, failed samples |
//! | `extract` | features of a manifest's images, in a temporary file of the same kind |
//! | `result` | the fit by sample: the `.npz`, the JSON object, the tables |

mod dataset;
mod extract;
mod result;

pub(crate) use dataset::{Dataset, Labels};
pub(crate) use result::FitResult;

use crate::{
    exit::{BadInput, Interrupted},
    work::Watch,
};
use curriculum_pipeline::{
    FitError,
    fit::{Fit, Options, Step, fit},
};

/// Fits `dataset` in rayon's current pool.
///
/// # Errors
/// [`BadInput`] names the row, or the sample, that cannot be used, or the parameter that does not
/// fit; [`Interrupted`].
pub(crate) fn run(
    dataset: &Dataset,
    labels: Option<&Labels>,
    options: &Options,
    watch: &mut Watch,
) -> anyhow::Result<Fit> {
    let classes = labels.map(|labels| labels.classes.as_slice());
    let observer = &mut |progress: curriculum_pipeline::fit::Progress| {
        watch.report(
            step_name(progress.step),
            &progress.activity,
            progress.done,
            progress.total,
        )
    };
    fit(&dataset.rows(), classes, options, observer).map_err(|error| match error {
        FitError::Cancelled => Interrupted.into(),
        FitError::NotFinite { row, column } => {
            let place = dataset.describe(row);
            BadInput(format!(
                "{place}: the feature in column {column} is not finite"
            ))
            .into()
        }
        FitError::TooLarge { row } => {
            let place = dataset.describe(row);
            BadInput(format!(
                "{place}: its features are too large to be clustered as they are"
            ))
            .into()
        }
        FitError::Source(error) => anyhow::anyhow!("cannot read the features: {error}"),
        other @ (FitError::Classes { .. } | FitError::Clustering(_) | FitError::NotExtensible) => {
            BadInput(format!("{}: {other}", dataset.name())).into()
        }
    })
}

/// The name of a step, in progress and in the seconds by stage.
fn step_name(step: Step) -> &'static str {
    match step {
        Step::Statistics => "statistics",
        Step::Cluster => "cluster",
        Step::Score => "score",
    }
}
