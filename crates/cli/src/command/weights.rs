//! `curriculum weights`

use crate::{
    client::ServerArgs,
    exit::BadInput,
    table::print,
    weights::{entry, fetch, status_name, top_tenth},
};
use clap::ValueEnum;
use curriculum_proto::v1;
use ndarray::ArrayView1;
use serde_json::json;
use std::path::PathBuf;

/// Fetch the sampler weights of one iteration.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of the curriculum.
    source: String,
    /// The trainer's iteration.
    #[arg(long, value_name = "T")]
    iteration: u64,
    /// Write the weights there, as f32 of shape (samples,).
    #[arg(long, value_name = "FILE.npy")]
    out: Option<PathBuf>,
    /// Which samples are favoured.
    #[arg(long, value_enum, default_value_t = OrderArg::EasyFirst)]
    order: OrderArg,
    /// Version to read [default: the newest].
    #[arg(long = "pin", value_name = "VERSION")]
    version: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum OrderArg {
    EasyFirst,
    HardFirst,
}

impl From<OrderArg> for v1::Order {
    fn from(order: OrderArg) -> Self {
        match order {
            OrderArg::EasyFirst => Self::EasyFirst,
            OrderArg::HardFirst => Self::HardFirst,
        }
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut client = args.server.curricula().await?;
    let request = v1::GetWeightsRequest {
        curriculum: args.source,
        version: args.version.unwrap_or_default(),
        iteration: args.iteration,
        order: v1::Order::from(args.order).into(),
        range: None,
        encoding: v1::Encoding::F32.into(),
    };
    let (header, weights) = fetch(&mut client, request).await?;
    if let Some(path) = &args.out {
        ndarray_npy::write_npy(path, &ArrayView1::from(weights.as_slice()))
            .map_err(|error| BadInput(format!("cannot write {}: {error}", path.display())))?;
    }
    let entry = entry(&header)?;
    let status = status_name(entry.status());
    if args.json {
        print(json!({
            "version": header.version,
            "iteration": entry.iteration,
            // JSON has no infinity: null for uniform weights.
            "temperature": entry.temperature,
            "effective_fraction": entry.effective_fraction,
            "target": entry.target,
            "status": status,
            "samples": header.sample_count,
        }));
    } else {
        print(format_args!(
            "version             {}\nsamples             {}\ntemperature         {:.6}\n\
             effective fraction  {:.6} (target {:.6}, {status})\neasiest tenth gets  {:.1} % of draws",
            header.version,
            header.sample_count,
            entry.temperature,
            entry.effective_fraction,
            entry.target,
            100.0 * top_tenth(&weights),
        ));
    }
    Ok(())
}
