//! `curriculum fit`

use crate::{
    arrays::{folder, writable},
    extraction::Extraction,
    fit::{self, Dataset, FitResult},
    parameters::{ClusteringArgs, FailureArgs, ModelArgs, parse_threads},
    table::print,
    work::{Watch, interruptible},
};
use anyhow::Context;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// Difficulties of a dataset, without a server.
///
/// INPUT is a .npy file of features, one row per sample (float32 or float16, C order), or images: an
/// image folder (one sub-folder per class), a WebDataset .tar, or a .jsonl manifest. Features are
/// normalised unless asked not to, clustered, and a sample's distance to its centroid becomes its
/// difficulty, 0 for a prototype and 1 for the hardest. Same input, flags and seed give the same bytes, for any number of
/// threads. A .npy file stays on disk and must not change meanwhile.
///
/// OUT gets the arrays difficulty f32[N], distance f32[N], cluster u32[N] and centroids f32[K,D], in
/// the order of the samples. A sample that cannot be used is hardest, its distance NaN, its cluster
/// 4294967295. `curriculum weights OUT` reads it; ids and labels are in `export` of a server's
/// curriculum.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Features or images.
    input: PathBuf,
    /// Where to write.
    #[arg(long, value_name = "FILE.npz")]
    out: PathBuf,
    /// Label of each sample, a vector of integers or strings, for --by-label [default: those of the
    /// manifest].
    #[arg(long, value_name = "FILE.npy")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    clustering: ClusteringArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    failures: FailureArgs,
    /// Threads, 0 for one per core.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = parse_threads)]
    threads: usize,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    interruptible(move |watch| pooled(&args, watch)).await
}

fn pooled(args: &Args, watch: Watch) -> anyhow::Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads);
    let pool = pool.build().context("cannot start threads")?;
    pool.install(|| fit(args, watch))
}

fn fit(args: &Args, mut watch: Watch) -> anyhow::Result<()> {
    writable(&args.out)?;
    let started = Instant::now();
    let dataset = open(args, &mut watch)?;
    let mut seconds = match is_features(&args.input) {
        true => Vec::new(),
        false => vec![("extract", started.elapsed().as_secs_f64())],
    };
    let labels = (args.labels.is_some() || args.clustering.by_label)
        .then(|| dataset.labels(args.labels.as_deref()))
        .transpose()?;
    let labels = labels.as_ref().filter(|_| args.clustering.by_label);
    let unused = args.labels.is_some() && !args.clustering.by_label;
    let options = args.clustering.options();
    let fitted = fit::run(&dataset, labels, &options, &mut watch);
    watch.finish();
    let fitted = fitted?;
    seconds.push(("statistics", fitted.seconds.statistics));
    seconds.push(("cluster", fitted.seconds.cluster));
    seconds.push(("score", fitted.seconds.score));
    let mut result = FitResult {
        fit: &fitted,
        dataset: &dataset,
        labels,
        options: &options,
        seconds,
        notes: Vec::from_iter(
            unused.then(|| "--labels was checked, but has no effect without --by-label".to_owned()),
        ),
    };
    let writing = Instant::now();
    result.write(&args.out)?;
    result
        .seconds
        .push(("write", writing.elapsed().as_secs_f64()));
    match args.json {
        true => print(result.to_json()),
        false => result.print(),
    }
    Ok(())
}

fn open(args: &Args, watch: &mut Watch) -> anyhow::Result<Dataset> {
    if is_features(&args.input) {
        return Ok(Dataset::map(&args.input)?);
    }
    let extraction = Extraction::new(&args.model, args.failures, args.threads)?;
    Dataset::extract(&args.input, &extraction, folder(&args.out), watch)
}

/// Whether `input` is an array rather than a manifest. An `.npz` is none of either, but the reader of
/// arrays knows what to say about it.
fn is_features(input: &Path) -> bool {
    let extension = input.extension();
    extension.is_some_and(|extension| extension == "npy" || extension == "npz")
}
