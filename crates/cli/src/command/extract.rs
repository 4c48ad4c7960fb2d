//! `curriculum extract`

use crate::{
    arrays::{Item, Output, writable},
    exit::BadInput,
    extraction::{self, Extraction},
    parameters::{FailureArgs, ModelArgs, parse_threads},
    table::{print, table},
    work::{Watch, interruptible},
};
use curriculum_extractor::{Extractor, Timing};
use curriculum_manifest::Manifest;
use curriculum_npy::header;
use half::f16;
use serde_json::json;
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    time::Duration,
};

/// How long `--bare-session` measures.
const BARE: Duration = Duration::from_secs(3);

/// Features of a dataset's images, without a server.
///
/// MANIFEST is an image folder (one sub-folder per class), a WebDataset .tar, or a .jsonl manifest.
/// FILE.npy gets the model's own vectors, not normalised, shape (samples, D), in the order of the
/// manifest; FILE.ids.jsonl beside it a line per sample: index, id, label, and the error of a sample
/// that could not be used, whose features are NaN. `curriculum fit FILE.npy` goes on from there.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Images.
    manifest: PathBuf,
    /// Where to write.
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    failures: FailureArgs,
    /// Type of the features written.
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = ["f32", "f16"])]
    dtype: String,
    /// Threads of one run of the model, 0 for one per core.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = parse_threads)]
    threads: usize,
    /// Afterwards measure the model alone on the same batches, to compare.
    #[arg(long)]
    bare_session: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    interruptible(move |watch| extract(&args, watch)).await
}

fn extract(args: &Args, mut watch: Watch) -> anyhow::Result<()> {
    writable(&args.out)?;
    if args
        .out
        .extension()
        .is_none_or(|extension| extension != "npy")
    {
        let bad = format!("--out {}: must end in .npy", args.out.display());
        return Err(BadInput(bad).into());
    }
    let extraction = Extraction::new(&args.model, args.failures, args.threads)?;
    let manifest = extraction::open(&args.manifest)?;
    let mut extractor = extraction.open()?;
    let mut files = Files::create(args, &manifest, extractor.dimension())?;
    let timing = extraction.run(&manifest, &mut extractor, &mut watch, &mut |index, row| {
        files.push(index, row).map_err(Into::into)
    });
    watch.finish();
    let timing = timing?;
    let failed = files.failed;
    files.commit()?;
    let bare = args
        .bare_session
        .then(|| extractor.bare_images_per_second(BARE));
    let extracted = Extracted {
        samples: manifest.len() as usize,
        failed,
        timing,
        bare: bare.transpose()?,
        batch_size: extractor.batch_size()?,
        extractor: &extractor,
    };
    match args.json {
        true => print(extracted.to_json()),
        false => print(extracted.table()),
    }
    Ok(())
}

/// The two files on their way.
struct Files<'a> {
    manifest: &'a Manifest,
    features: Output,
    ids: Output,
    rows: BufWriter<File>,
    lines: BufWriter<File>,
    append: fn(f32, &mut Vec<u8>),
    dimension: usize,
    failed: usize,
}

impl<'a> Files<'a> {
    fn create(args: &Args, manifest: &'a Manifest, dimension: usize) -> Result<Self, BadInput> {
        let features = Output::create(&args.out)?;
        let ids = Output::create(&args.out.with_extension("ids.jsonl"))?;
        let (mut rows, lines) = (features.writer()?, ids.writer()?);
        let (descr, append): (_, fn(f32, &mut Vec<u8>)) = match args.dtype.as_str() {
            "f16" => (f16::DESCR, |x, bytes| f16::from_f32(x).append_to(bytes)),
            _ => (f32::DESCR, |x, bytes| x.append_to(bytes)),
        };
        rows.write_all(&header(descr, &[manifest.len() as usize, dimension]))
            .map_err(|error| features.failed(&error))?;
        Ok(Self {
            manifest,
            features,
            ids,
            rows,
            lines,
            append,
            dimension,
            failed: 0,
        })
    }

    fn push(&mut self, index: usize, row: Result<&[f32], &str>) -> Result<(), BadInput> {
        let mut bytes = Vec::with_capacity(self.dimension * size_of::<f32>());
        match row {
            Ok(row) => row.iter().for_each(|x| (self.append)(*x, &mut bytes)),
            Err(_) => (0..self.dimension).for_each(|_| (self.append)(f32::NAN, &mut bytes)),
        }
        let written = self.rows.write_all(&bytes);
        written.map_err(|error| self.features.failed(&error))?;
        let sample = self.manifest.sample(index as u64);
        let sample = sample.map_err(|error| BadInput(error.to_string()))?;
        let mut line = json!({"index": index, "id": &*sample.id, "label": sample.label.as_deref()});
        if let Err(reason) = row {
            self.failed += 1;
            line["error"] = reason.into();
        }
        writeln!(self.lines, "{line}").map_err(|error| self.ids.failed(&error))
    }

    fn commit(mut self) -> Result<(), BadInput> {
        let written = self.lines.flush();
        written.map_err(|error| self.ids.failed(&error))?;
        let written = self.rows.flush();
        written.map_err(|error| self.features.failed(&error))?;
        self.ids.commit()?;
        self.features.commit()
    }
}

/// What there is to say of it.
struct Extracted<'a> {
    samples: usize,
    failed: usize,
    timing: Timing,
    /// Images per second of the session alone.
    bare: Option<f64>,
    batch_size: usize,
    extractor: &'a Extractor,
}

impl Extracted<'_> {
    fn images_per_second(&self) -> f64 {
        self.samples as f64 / self.timing.total.as_secs_f64().max(1e-9)
    }

    fn provider(&self) -> String {
        let placement = self.extractor.placement();
        placement.map_or_else(String::new, |placement| {
            placement.execution_provider.to_string()
        })
    }

    fn to_json(&self) -> String {
        let mut object = json!({
            "samples": self.samples,
            "failed": self.failed,
            "dimension": self.extractor.dimension(),
            "seconds": {
                "extract": self.timing.total.as_secs_f64(),
                "session": self.timing.session.as_secs_f64(),
                "load": self.timing.load.as_secs_f64(),
            },
            "images_per_second": self.images_per_second(),
            "batch_size": self.batch_size,
            "provider": self.provider(),
            "nodes_by_provider": self.extractor.placement().map(|placement| &placement.nodes),
        });
        if let Some(bare) = self.bare {
            object["bare_images_per_second"] = bare.into();
        }
        object.to_string()
    }

    fn table(&self) -> String {
        let nodes = self.extractor.placement().map(|placement| {
            let counted = placement.nodes.iter();
            let counted: Vec<_> = counted
                .map(|(name, count)| format!("{count} on {name}"))
                .collect();
            counted.join(", ")
        });
        let mut rows = vec![
            ("samples", self.samples.to_string()),
            ("failed", self.failed.to_string()),
            ("dimension", self.extractor.dimension().to_string()),
            ("seconds", format!("{:.1}", self.timing.total.as_secs_f64())),
            ("images/s", format!("{:.1}", self.images_per_second())),
            ("batch size", self.batch_size.to_string()),
            ("provider", self.provider()),
            ("nodes", nodes.unwrap_or_default()),
        ];
        if let Some(bare) = self.bare {
            let ratio = self.images_per_second() / bare;
            rows.push((
                "session alone",
                format!("{bare:.1} images/s; {ratio:.2} of it reached"),
            ));
        }
        let mut table = table(["extraction", ""]);
        for (name, value) in rows {
            table.add_row([name.to_owned(), value]);
        }
        table.to_string()
    }
}
