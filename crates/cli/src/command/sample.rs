//! `curriculum sample`

use crate::{
    arrays::write_array,
    client::ServerArgs,
    exit::BadInput,
    parameters::OrderArgs,
    table::{grouped, number, print, table},
    weights::status_name,
};
use anyhow::ensure;
use curriculum_proto::v1;
use serde_json::json;
use std::path::PathBuf;

/// Larger iterations are not exact as numbers of JSON and of floating point.
const MAX_ITERATION: u64 = 1 << 53;

/// Indices shown of an iteration.
const SHOWN: usize = 8;

/// The indices that a rank takes at one or more iterations, drawn with the iteration's weights.
///
/// Draw j of an iteration depends on version, seed, iteration and j alone: rank r of W gets draws r,
/// r + W, r + 2W, and so on, whoever asks, whenever and wherever.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Curriculum: NAME, NAME@ALIAS or NAME@VERSION.
    name: String,
    /// The first iteration, 0 to 2^53.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u64).range(..=MAX_ITERATION))]
    iteration: u64,
    /// Consecutive iterations from there.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    iterations: u32,
    /// Draws of an iteration over all ranks.
    #[arg(long, value_name = "B")]
    batch: u32,
    /// The rank that draws.
    #[arg(long, value_name = "R", default_value_t = 0)]
    rank: u32,
    /// Number of ranks.
    #[arg(long, value_name = "W", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    world_size: u32,
    /// Equal seeds draw alike.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Draw without replacement: windows of this many iterations hold no index twice.
    #[arg(long, value_name = "ITERATIONS", default_value_t = 0)]
    window: u32,
    /// Version to read [default: the newest].
    #[arg(long = "pin", value_name = "VERSION")]
    version: Option<String>,
    /// Write the indices there, as u32 of shape (iterations, batch / world size).
    #[arg(long, value_name = "FILE.npy")]
    out: Option<PathBuf>,
    /// Print one JSON object instead of text, with the indices unless --out takes them.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut client = args.server.curricula().await?;
    let (order, order_seed) = args.order.to_proto();
    let request = v1::SampleIndicesRequest {
        curriculum: args.name.clone(),
        version: args.version.clone().unwrap_or_default(),
        iteration: args.iteration,
        iterations: args.iterations,
        batch: args.batch,
        rank: args.rank,
        world_size: args.world_size,
        seed: args.seed,
        order: order.into(),
        order_seed,
        window: args.window,
        expected_samples: None,
    };
    let answer = client.sample_indices(request).await?.into_inner();
    let indices: Vec<u32> = answer
        .indices
        .as_chunks()
        .0
        .iter()
        .copied()
        .map(u32::from_le_bytes)
        .collect();
    let each = (args.batch / args.world_size) as usize;
    ensure!(
        answer.entries.len() == args.iterations as usize
            && indices.len() == each * answer.entries.len(),
        "the server answered {} indices of {} iterations, not {each} of each of {}",
        indices.len(),
        answer.entries.len(),
        args.iterations
    );
    if let Some(path) = &args.out {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension != Some("npy") {
            let bad = format!("--out {}: the name must end in .npy", path.display());
            return Err(BadInput(bad).into());
        }
        write_array(path, &[answer.entries.len(), each], &indices)?;
    }
    match args.json {
        true => print(as_json(&answer, &indices, each, args.out.is_none())),
        false => print(as_text(&answer, &indices, each)),
    }
    Ok(())
}

fn as_json(
    answer: &v1::SampleIndicesResponse,
    indices: &[u32],
    each: usize,
    with_indices: bool,
) -> serde_json::Value {
    let rows = answer.entries.iter().zip(indices.chunks(each));
    let rows = rows.map(|(entry, indices)| {
        let mut row = json!({
            "iteration": entry.iteration,
            // JSON has no infinity: null for uniform weights.
            "temperature": entry.temperature,
            "effective_fraction": entry.effective_fraction,
            "status": status_name(entry.status()),
        });
        if with_indices {
            row["indices"] = json!(indices);
        }
        row
    });
    json!({
        "version": answer.version,
        "samples": answer.sample_count,
        "iterations": rows.collect::<Vec<_>>(),
    })
}

fn as_text(answer: &v1::SampleIndicesResponse, indices: &[u32], each: usize) -> String {
    let mut rows = table(["iteration", "temperature", "indices"]);
    for (entry, indices) in answer.entries.iter().zip(indices.chunks(each)) {
        let shown = indices.iter().take(SHOWN).map(u32::to_string);
        let more = if each > SHOWN { ", …" } else { "" };
        rows.add_row([
            number(grouped(entry.iteration)),
            number(format!("{:.6}", entry.temperature)),
            number(shown.collect::<Vec<_>>().join(", ") + more),
        ]);
    }
    format!(
        "version  {}\nsamples  {}\n{rows}",
        answer.version,
        grouped(answer.sample_count)
    )
}
