//! `curriculum models`

mod inspect;

use crate::{
    exit::{BadInput, Interrupted, Unreachable},
    progress::{Display, Progress},
    table::{grouped, number, print, table},
};
use clap::Subcommand;
use curriculum_extractor::{
    KnownModel, ModelSource,
    hub::{self, HubError, HubOptions, Outcome, Pulled},
    known_models,
};
use serde_json::json;
use std::time::Instant;

/// Models that turn images into features: which there are, fetching them, looking into them.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(ListArgs),
    Pull(PullArgs),
    Inspect(inspect::Args),
}

/// The models that have a name, and whether they are on this machine.
///
/// Any other ONNX file is a model too, given a TOML of the same name beside it.
#[derive(clap::Args)]
struct ListArgs {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Fetch a model from the hub into the cache.
///
/// The download resumes where an earlier one ended and is compared with the hub's checksum. The first
/// pull pins that checksum: another file under the same name is refused from then on. The hub is that
/// of HF_ENDPOINT, the cache HF_HUB_CACHE or HF_HOME (default ~/.cache/huggingface), the token that
/// of HF_TOKEN or of the file HF_TOKEN_PATH.
#[derive(clap::Args)]
struct PullArgs {
    /// Name of the model, as in `models list`.
    name: String,
    /// Do not ask the hub: verify what is in the cache, or fail [env: HF_HUB_OFFLINE].
    #[arg(long, conflicts_with = "refresh")]
    offline: bool,
    /// Accept another file than the pinned one, and pin that.
    #[arg(long)]
    refresh: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Pull(args) => pull(args).await,
        Command::Inspect(args) => inspect::run(&args),
    }
}

fn list(args: &ListArgs) -> anyhow::Result<()> {
    let options = HubOptions::from_env();
    let rows: Vec<_> = known_models()
        .map(|model| Ok((model, location(&model, &options)?)))
        .collect::<Result<_, HubError>>()
        .map_err(failure)?;
    if args.json {
        let rows = rows
            .iter()
            .map(|(model, location)| as_json(model, location));
        print(serde_json::Value::Array(rows.collect()));
        return Ok(());
    }
    let mut table = table([
        "model",
        "where",
        "dimension",
        "size",
        "source",
        "description",
    ]);
    for (model, location) in rows {
        table.add_row([
            model.name.into(),
            location.name.into(),
            number(model.dimension),
            number(location.bytes.map_or_else(String::new, megabytes)),
            repository(&model).unwrap_or("this program").into(),
            model.description.into(),
        ]);
    }
    print(table);
    Ok(())
}

/// Where a model is now.
struct Location {
    name: &'static str,
    /// Where it is a file.
    bytes: Option<u64>,
}

fn location(model: &KnownModel, options: &HubOptions) -> Result<Location, HubError> {
    let (name, bytes) = match model.source {
        ModelSource::Embedded => ("embedded", None),
        ModelSource::Hub { .. } => match hub::cached(model.name, &options.cache) {
            Ok(Some(pin)) => ("cached", Some(pin.bytes)),
            Ok(None) => ("not pulled", None),
            // Another model's row is no worse for it; `pull` says what is wrong.
            Err(HubError::CannotRead { .. }) => ("unreadable", None),
            Err(error) => return Err(error),
        },
    };
    Ok(Location { name, bytes })
}

fn repository(model: &KnownModel) -> Option<&'static str> {
    match model.source {
        ModelSource::Embedded => None,
        ModelSource::Hub { repository } => Some(repository),
    }
}

fn as_json(model: &KnownModel, location: &Location) -> serde_json::Value {
    json!({
        "name": model.name,
        "where": location.name,
        "dimension": model.dimension,
        "bytes": location.bytes,
        "repository": repository(model),
        "description": model.description,
    })
}

async fn pull(args: PullArgs) -> anyhow::Result<()> {
    let mut options = HubOptions::from_env();
    options.offline |= args.offline;
    options.refresh = args.refresh;
    let name = args.name.clone();
    let work = tokio::task::spawn_blocking(move || fetch(&name, &options));
    let pulled = tokio::select! {
        pulled = work => pulled?.map_err(failure)?,
        // The process ends and with it the download, whose bytes stay for the next.
        _ = tokio::signal::ctrl_c() => return Err(Interrupted.into()),
    };
    let Pulled { path, pin, outcome } = &pulled;
    if args.json {
        print(json!({
            "name": args.name,
            "path": path,
            "outcome": outcome_name(*outcome),
            "repository": pin.repository,
            "commit": pin.commit,
            "sha256": pin.sha256,
            "bytes": pin.bytes,
        }));
        return Ok(());
    }
    print(format_args!(
        "{}: {}, {}\nsha256 {}\n{}",
        args.name,
        outcome_name(*outcome),
        megabytes(pin.bytes),
        pin.sha256,
        path.display()
    ));
    Ok(())
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Downloaded => "downloaded",
        Outcome::DownloadedUnchecked => "downloaded, the hub gave no checksum",
        Outcome::UpToDate => "up to date",
        Outcome::Cached => "cached, not compared with the hub",
    }
}

fn fetch(name: &str, options: &HubOptions) -> Result<Pulled, HubError> {
    let mut display = Display::new();
    let mut first: Option<(Instant, u64)> = None;
    let mut note = String::new();
    let pulled = hub::pull(name, options, &mut |progress| {
        let (mut done, mut all, mut rate) = (0, 0, 0.0);
        match progress {
            hub::Progress::Waiting => note = ", waiting for another pull of it".to_owned(),
            hub::Progress::Retrying { reason } => note = format!(", again after: {reason}"),
            hub::Progress::Downloading { done: here, total } => {
                let (since, start) = *first.get_or_insert_with(|| (Instant::now(), here));
                rate = here.saturating_sub(start) as f64 / since.elapsed().as_secs_f64().max(1e-3);
                (done, all) = (here, total.unwrap_or_default());
                note.clear();
            }
        }
        display.show(&Progress {
            // Named anew with every note, so that the note is shown at once.
            stage: &format!("pull {name}{note}"),
            activity: &format!("{name}, kB"),
            done: done / 1000,
            total: all / 1000,
            rate: rate / 1000.0,
        });
    });
    display.finish();
    pulled
}

/// Bytes for people.
fn megabytes(bytes: u64) -> String {
    match bytes {
        ..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{} MB", grouped(bytes.div_ceil(1_000_000))),
    }
}

/// With the exit code that fits.
fn failure(error: HubError) -> anyhow::Error {
    match error {
        HubError::Unreachable { url, reason } => Unreachable {
            server: url,
            cause: reason,
        }
        .into(),
        HubError::CannotWrite { .. } | HubError::CannotRead { .. } => error.into(),
        error => BadInput(error.to_string()).into(),
    }
}
