//! `curriculum weights`

use crate::{
    arrays::write_vector,
    client::ServerArgs,
    exit::BadInput,
    parameters::{OrderArgs, ScheduleArgs},
    table::print,
    weights::{Computed, Heat, entry, fetch, of_file, status_name, top_tenth},
};
use curriculum_proto::v1;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Larger iterations are not exact as numbers of JSON and of floating point.
const MAX_ITERATION: u64 = 1 << 53;

/// The sampler weights of one iteration, which sum to one.
///
/// SOURCE is a .npz that `fit` wrote, or the name of a server's curriculum. A server's curriculum has
/// its own schedule; for a file the flags below describe it, by default as its number of samples
/// suggests.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// File or curriculum.
    source: String,
    /// The trainer's iteration, 0 to 2^53.
    #[arg(
        long,
        value_name = "T",
        allow_negative_numbers = true,
        required_unless_present = "temperature",
        value_parser = clap::value_parser!(u64).range(..=MAX_ITERATION)
    )]
    iteration: Option<u64>,
    /// Write the weights there, as f32 of shape (samples,).
    #[arg(long, value_name = "FILE.npy")]
    out: Option<PathBuf>,
    /// For a file: this temperature instead of the schedule's; `inf` for uniform weights.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// For a server: version to read [default: the newest].
    #[arg(long = "pin", value_name = "VERSION")]
    version: Option<String>,
    /// For a server: how the weights travel; f16 and u16 take half of the bytes, with a small error.
    #[arg(long, value_enum, default_value_t = EncodingArg::F32)]
    encoding: EncodingArg,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    schedule: ScheduleArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// How weights travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum EncodingArg {
    /// Four bytes, rounded once.
    F32,
    /// Two bytes, half precision: far samples may become zero.
    F16,
    /// Two bytes, logarithms: an equal relative error for all.
    U16,
}

impl EncodingArg {
    fn to_proto(self) -> v1::Encoding {
        match self {
            Self::F32 => v1::Encoding::F32,
            Self::F16 => v1::Encoding::F16,
            Self::U16 => v1::Encoding::U16,
        }
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let computed = match file(&args.source) {
        Some(path) => local(&args, path)?,
        None => remote(&args).await?,
    };
    if let Some(path) = &args.out {
        write_vector(path, &computed.weights)?;
    }
    match args.json {
        true => print(as_json(&computed)),
        false => print(as_text(&computed)),
    }
    Ok(())
}

/// A source that is a file on this machine rather than a curriculum's name.
pub(crate) fn file(source: &str) -> Option<&Path> {
    let path = Path::new(source);
    let named = path.extension().is_some_and(|extension| extension == "npz");
    (named || path.is_file()).then_some(path)
}

fn local(args: &Args, path: &Path) -> Result<Computed, BadInput> {
    if args.version.is_some() {
        return Err(BadInput(format!(
            "--pin: {} is a file, which has no versions",
            path.display()
        )));
    }
    if args.encoding != EncodingArg::F32 {
        return Err(BadInput(format!(
            "--encoding: {} is a file, whose weights do not travel",
            path.display()
        )));
    }
    let heat = match args.temperature {
        Some(temperature) if temperature.is_nan() || temperature <= 0.0 => {
            let bad = format!("--temperature is {temperature}, but must be above 0");
            return Err(BadInput(bad));
        }
        Some(temperature) => Heat::Temperature(temperature),
        None => Heat::Iteration(args.iteration.unwrap_or_default()),
    };
    let computed = of_file(path, args.order, &args.schedule, &heat)?;
    Ok(Computed {
        iteration: args.iteration,
        ..computed
    })
}

async fn remote(args: &Args) -> anyhow::Result<Computed> {
    let temperature = args.temperature.map(|_| "--temperature");
    if let Some(flag) = args.schedule.given().or(temperature) {
        let source = &args.source;
        return Err(BadInput(format!(
            "{flag}: the schedule of the server's curriculum `{source}` is stored with it; fit \
             features to a file, or submit with another schedule"
        ))
        .into());
    }
    let mut client = args.server.curricula().await?;
    let (order, order_seed) = args.order.to_proto();
    let request = v1::GetWeightsRequest {
        curriculum: args.source.clone(),
        version: args.version.clone().unwrap_or_default(),
        iteration: args.iteration.unwrap_or_default(),
        order: order.into(),
        range: None,
        encoding: args.encoding.to_proto().into(),
        order_seed,
        if_none_match: String::new(),
    };
    let (header, weights) = fetch(&mut client, request).await?;
    let entry = entry(&header)?;
    Ok(Computed {
        weights,
        version: Some(header.version),
        iteration: Some(entry.iteration),
        phase: match entry.phase() {
            v1::Phase::Unspecified => None,
            v1::Phase::Warmup => Some("warmup"),
            v1::Phase::Uniform => Some("uniform"),
        },
        temperature: entry.temperature,
        effective_fraction: entry.effective_fraction,
        target: Some(entry.target),
        status: status_name(entry.status()),
        max_relative_error: Some(header.max_relative_error),
    })
}

fn as_json(computed: &Computed) -> serde_json::Value {
    json!({
        "version": computed.version,
        "iteration": computed.iteration,
        "phase": computed.phase,
        // JSON has no infinity: null for uniform weights.
        "temperature": computed.temperature,
        "effective_fraction": computed.effective_fraction,
        "target": computed.target,
        "status": computed.status,
        "samples": computed.weights.len(),
        "max_relative_error": computed.max_relative_error,
    })
}

fn as_text(computed: &Computed) -> String {
    let target = computed
        .target
        .map_or_else(String::new, |target| format!("target {target:.6}, "));
    let version = computed.version.iter();
    version
        .map(|version| format!("version             {version}"))
        .chain([
            format!("samples             {}", computed.weights.len()),
            format!("temperature         {:.6}", computed.temperature),
            format!(
                "effective fraction  {:.6} ({target}{})",
                computed.effective_fraction, computed.status
            ),
            format!(
                "top tenth gets      {:.1} % of draws",
                100.0 * top_tenth(&computed.weights)
            ),
        ])
        .collect::<Vec<_>>()
        .join("\n")
}
