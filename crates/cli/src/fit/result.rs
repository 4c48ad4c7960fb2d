//! What a fit gives to its user.

use super::{Dataset, Labels};
use crate::{
    arrays::NpzWriter,
    exit::BadInput,
    table::{chart, curve, grouped, print},
};
use curriculum::difficulty::{self, FAILED};
use curriculum_clustering::Source;
use curriculum_pipeline::fit::{Fit, Options};
use serde_json::json;
use std::path::Path;

/// Failed samples named in the warnings, at most.
const NAMED: usize = 10;

/// Bars of the histogram.
const BINS: usize = 20;

/// A fit, and what it is a fit of.
pub(crate) struct FitResult<'a> {
    pub(crate) fit: &'a Fit,
    pub(crate) dataset: &'a Dataset,
    pub(crate) labels: Option<&'a Labels>,
    pub(crate) options: &'a Options,
    /// Time by stage, in order.
    pub(crate) seconds: Vec<(&'static str, f64)>,
    /// Sentences besides those of the fit.
    pub(crate) notes: Vec<String>,
}

impl FitResult<'_> {
    /// Writes the `.npz`. A failed sample is hardest, its distance NaN, its cluster 4294967295.
    ///
    /// # Errors
    /// [`BadInput`] when it cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), BadInput> {
        let Self { fit, dataset, .. } = self;
        let hardest = fit.difficulty.iter().copied().fold(FAILED, f32::max);
        let samples = [dataset.samples()];
        let mut npz = NpzWriter::create(path)?;
        let difficulty = dataset.by_sample(&fit.difficulty, hardest);
        npz.add("difficulty", &samples, difficulty)?;
        let distance = dataset.by_sample(&fit.distance, f32::NAN);
        npz.add("distance", &samples, distance)?;
        let cluster = dataset.by_sample(&fit.cluster, u32::MAX);
        npz.add("cluster", &samples, cluster)?;
        let (clusters, dimension) = fit.centroids.dim();
        let centroids = fit.centroids.iter().copied();
        npz.add("centroids", &[clusters, dimension], centroids)?;
        npz.finish()
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        let seconds = self.seconds.iter();
        let seconds = seconds.map(|(stage, seconds)| ((*stage).to_owned(), json!(seconds)));
        json!({
            "samples": self.dataset.samples(),
            "failed": self.dataset.failed().len(),
            "dimension": self.dataset.dimension(),
            "clusters": self.fit.centroids.nrows(),
            "davies_bouldin": self.fit.davies_bouldin,
            "inertia": self.fit.inertia,
            "seconds": serde_json::Value::Object(seconds.collect()),
            "curve": self.fit.curve,
            "warnings": self.warnings(),
            "min_cluster_size": self.options.min_cluster_size,
            "seed": self.options.seed,
        })
    }

    pub(crate) fn print(&self) {
        let Self { fit, dataset, .. } = self;
        let index = fit
            .davies_bouldin
            .map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
        let count = |n: usize| grouped(n as u64);
        print(format_args!("samples         {}", count(dataset.samples())));
        print(format_args!(
            "failed          {}",
            count(dataset.failed().len())
        ));
        print(format_args!("dimension       {}", dataset.dimension()));
        print(format_args!(
            "clusters        {}",
            count(fit.centroids.nrows())
        ));
        print(format_args!("Davies–Bouldin  {index}"));
        let mean = fit.inertia / dataset.rows().rows().max(1) as f64;
        print(format_args!(
            "inertia         {:.3} ({mean:.6} a sample)",
            fit.inertia
        ));
        for (stage, seconds) in &self.seconds {
            print(format_args!("{stage:14}  {seconds:.2} s"));
        }
        let histogram = difficulty::histogram(&fit.difficulty, BINS);
        print(format_args!("\ndifficulty\n{}", chart(&histogram)));
        if !fit.curve.is_empty() {
            let curve = curve(&fit.curve, fit.centroids.nrows());
            print(format_args!("\nnumbers of clusters tried\n{curve}"));
        }
        for warning in self.warnings() {
            print(format_args!("\nwarning: {warning}"));
        }
    }

    fn warnings(&self) -> Vec<String> {
        let name = |class: u32| {
            let names = self.labels.map(|labels| labels.names.as_slice());
            let name = names.and_then(|names| names.get(class as usize));
            name.cloned().unwrap_or_else(|| class.to_string())
        };
        let failed = self.dataset.failed();
        let named = failed.iter().take(NAMED).map(|failure| {
            let sample = self.dataset.sample(failure.index);
            format!("{sample} has no features: {}", failure.reason)
        });
        let more = failed.len().saturating_sub(NAMED);
        let more = (more > 0).then(|| format!("{more} more samples have no features"));
        let fitted = self.fit.warnings.iter().map(|w| w.describe(name));
        let notes = self.notes.iter().cloned();
        fitted.chain(named).chain(more).chain(notes).collect()
    }
}
