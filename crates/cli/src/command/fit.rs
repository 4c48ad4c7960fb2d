//! `curriculum fit`

use crate::{
    arrays::folder,
    exit::BadInput,
    fit::{self, Dataset, Extraction, FitResult, Watch},
    parameters::{ClusteringArgs, FailureArgs, MAX_FAILED_FRACTION},
    table::print,
};
use anyhow::Context;
use curriculum_server::{Config, Overrides};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

const MAX_THREADS: usize = 1024;

/// Difficulties of a dataset, without a server.
///
/// INPUT is a .npy file of features, one row per sample (float32 or float16, C order), or images: an
/// image folder (one sub-folder per class), a WebDataset .tar, or a .jsonl manifest. Features are
/// normalised, clustered, and a sample's distance to its centroid becomes its difficulty, 0 for a
/// prototype and 1 for the hardest. Same input, flags and seed give the same bytes, for any number of
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
    /// For images: embedded model, or an ONNX file with a TOML of the same name beside it [default:
    /// dino_fashion].
    #[arg(long, value_name = "NAME|FILE.onnx")]
    model: Option<String>,
    #[command(flatten)]
    failures: FailureArgs,
    /// Threads, 0 for one per core.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = parse_threads)]
    threads: usize,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

fn parse_threads(text: &str) -> Result<usize, String> {
    let threads = text.parse().ok().filter(|threads| *threads <= MAX_THREADS);
    threads.ok_or_else(|| format!("must be a number, 0 to {MAX_THREADS}"))
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let watch = Watch::new(Arc::clone(&interrupted));
    let mut work = tokio::task::spawn_blocking(move || pooled(&args, watch));
    tokio::select! {
        outcome = &mut work => return outcome?,
        _ = tokio::signal::ctrl_c() => interrupted.store(true, Ordering::Relaxed),
    }
    work.await?
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
    let max_failed_fraction = args
        .failures
        .max_failed_fraction
        .unwrap_or(MAX_FAILED_FRACTION);
    if !(0.0..=1.0).contains(&max_failed_fraction) {
        let bad = format!("--max-failed-fraction is {max_failed_fraction}, but must lie in 0..1");
        return Err(BadInput(bad).into());
    }
    // The settings of a server: its file of settings apart, whatever applies to `serve` applies here.
    let config = Config::load(
        None,
        &Overrides {
            model: args.model.clone(),
            threads: Some(args.threads).filter(|threads| *threads > 0),
            ..Overrides::default()
        },
    );
    let config = config.map_err(|error| BadInput(error.to_string()))?;
    let extraction = Extraction {
        model: &config.model,
        max_failed_fraction,
        folder: folder(&args.out),
    };
    fit::extract(&args.input, &extraction, watch)
}

/// Whether `input` is an array rather than a manifest. An `.npz` is none of either, but the reader of
/// arrays knows what to say about it.
fn is_features(input: &Path) -> bool {
    let extension = input.extension();
    extension.is_some_and(|extension| extension == "npy" || extension == "npz")
}

/// Looks before the work whether there is a place for its result.
fn writable(out: &Path) -> Result<(), BadInput> {
    match folder(out).is_dir() && !out.is_dir() {
        true => Ok(()),
        false => Err(BadInput(format!(
            "--out {}: no such folder, or a folder itself",
            out.display()
        ))),
    }
}
