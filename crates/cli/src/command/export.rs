//! `curriculum export`

mod portable;

use super::weights::file;
use crate::{
    arrays::NpzReader,
    client::ServerArgs,
    exit::BadInput,
    export::{Samples, Table},
    table::print,
    weights::read_difficulty,
};
use anyhow::{Context, ensure};
use crc32fast::Hasher;
use curriculum_npy::{Labels, read_labels};
use curriculum_proto::v1::{self, get_difficulty_response::Part};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Samples of a file that are taken at a time.
const PART: usize = 1 << 16;

/// The difficulties of a dataset as a table: id, index, difficulty, distance, cluster, label; or a
/// whole version as one file for `import`.
///
/// SOURCE is the name of a server's curriculum, or a .npz that `fit` wrote, whose samples have their
/// indices as ids. A sample that could not be used has the distance NaN and the cluster 4294967295; a
/// missing label is null in Parquet, and empty in an .npz.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// File or curriculum.
    source: String,
    /// Where to write. Parquet is written as samples arrive; an .npz is put together in memory. A
    /// .curriculum holds all that another server needs to serve the version, with checksums.
    #[arg(long, value_name = "FILE.npz|FILE.parquet|FILE.curriculum")]
    out: PathBuf,
    /// For a file: label of each sample, a vector of integers or strings.
    #[arg(long, value_name = "FILE.npy")]
    labels: Option<PathBuf>,
    /// For a server: version to read [default: the newest].
    #[arg(long = "pin", value_name = "VERSION")]
    version: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    if args
        .out
        .extension()
        .is_some_and(|extension| extension == "curriculum")
    {
        return portable::run(&args).await;
    }
    let mut table = Table::create(&args.out)?;
    let (samples, version) = match file(&args.source) {
        Some(path) => (local(&args, path, &mut table)?, None),
        None => {
            let header = remote(&args, &mut table).await?;
            (header.sample_count, Some(header.version))
        }
    };
    table.finish()?;
    match args.json {
        true => print(json!({"samples": samples, "version": version, "out": args.out})),
        false => print(format_args!(
            "{samples} samples written to {}",
            args.out.display()
        )),
    }
    Ok(())
}

fn local(args: &Args, path: &Path, table: &mut Table) -> Result<u64, BadInput> {
    if args.version.is_some() {
        return Err(BadInput(format!(
            "--pin: {} is a file, which has no versions",
            path.display()
        )));
    }
    let mut npz = NpzReader::open(path)?;
    let difficulty = read_difficulty(&mut npz)?;
    let samples = difficulty.len();
    let distance = npz.vector::<f32>("distance")?;
    let cluster = npz.vector::<u32>("cluster")?;
    for (name, length) in [("distance", distance.len()), ("cluster", cluster.len())] {
        if length != samples {
            let reason = format_args!("it has {length} items, `difficulty` has {samples}");
            return Err(npz.refused(name, &reason));
        }
    }
    let labels = args.labels.as_deref();
    let labels = labels
        .map(|labels| read_labels(labels, samples))
        .transpose()
        .map_err(|error| BadInput(error.to_string()))?;
    let columns = difficulty
        .chunks(PART)
        .zip(distance.chunks(PART))
        .zip(cluster.chunks(PART));
    for (part, ((difficulty, distance), cluster)) in columns.enumerate() {
        let start = part * PART;
        let range = start..start + difficulty.len();
        table.push(Samples {
            start: start as u64,
            ids: range.clone().map(|index| index.to_string()).collect(),
            labels: range.map(|index| label(labels.as_ref(), index)).collect(),
            difficulty: difficulty.to_vec(),
            distance: distance.to_vec(),
            cluster: cluster.to_vec(),
        })?;
    }
    Ok(samples as u64)
}

fn label(labels: Option<&Labels>, index: usize) -> String {
    let name = labels.and_then(|labels| {
        let class = labels.classes.get(index)?;
        labels.names.get(*class as usize)
    });
    name.cloned().unwrap_or_default()
}

async fn remote(args: &Args, table: &mut Table) -> anyhow::Result<v1::DifficultyHeader> {
    if args.labels.is_some() {
        let bad = "--labels: a server's curriculum has its own labels";
        return Err(BadInput(bad.to_owned()).into());
    }
    let mut client = args.server.curricula().await?;
    let request = v1::GetDifficultyRequest {
        curriculum: args.source.clone(),
        version: args.version.clone().unwrap_or_default(),
        range: None,
        with_ids: true,
        ..v1::GetDifficultyRequest::default()
    };
    let mut messages = client.get_difficulty(request).await?.into_inner();
    let (mut header, mut arrived, mut hasher) = (None, 0, Hasher::new());
    let mut end = None;
    while let Some(message) = messages.message().await? {
        match message.part {
            Some(Part::Header(first)) => header = Some(first),
            Some(Part::Chunk(chunk)) => {
                ensure!(
                    chunk.start == arrived,
                    "the stream of difficulties has a gap"
                );
                hasher.update(&chunk.difficulty);
                let samples = samples(chunk)?;
                arrived += samples.len() as u64;
                table.push(samples)?;
            }
            Some(Part::End(last)) => end = Some(last),
            None => {}
        }
    }
    let header = header.context("the server sent no header")?;
    let end = end.filter(|_| arrived == header.sample_count);
    let end = end.context("the stream of difficulties ended early")?;
    ensure!(
        end.crc32 == hasher.finalize(),
        "the difficulties do not match their checksum"
    );
    Ok(header)
}

/// A message, whose columns must be of one length.
fn samples(chunk: v1::DifficultyChunk) -> anyhow::Result<Samples> {
    let floats = |bytes: &[u8]| -> Vec<f32> {
        let (values, _) = bytes.as_chunks::<4>();
        values.iter().map(|x| f32::from_le_bytes(*x)).collect()
    };
    let (cluster, _) = chunk.cluster.as_chunks::<4>();
    let samples = Samples {
        start: chunk.start,
        difficulty: floats(&chunk.difficulty),
        distance: floats(&chunk.distance),
        cluster: cluster.iter().map(|x| u32::from_le_bytes(*x)).collect(),
        ids: chunk.ids,
        labels: chunk.labels,
    };
    let lengths = [
        samples.distance.len(),
        samples.cluster.len(),
        samples.ids.len(),
        samples.labels.len(),
    ];
    ensure!(
        lengths.iter().all(|length| *length == samples.len()),
        "the server sent columns of different lengths"
    );
    Ok(samples)
}
