//! `curriculum push`

use super::submit::{self, JobArgs, LayoutArgs, OutputArgs};
use crate::{
    client::ServerArgs,
    exit::BadInput,
    push::{Pusher, fingerprint},
    table::{grouped, print},
    watch::WaitArgs,
    work::interruptible,
};
use curriculum_manifest::{Access, Kind, Manifest, Source};
use curriculum_proto::v1;
use serde_json::json;
use std::{
    io::Write,
    sync::{Arc, mpsc},
};
use tempfile::NamedTempFile;

/// Send samples from this machine to a server, which then takes `pushed:ID` as a source.
///
/// SOURCE is what `submit` takes, as this machine sees it: a features .npy or Parquet file, an image
/// folder, WebDataset .tar files, a manifest. A push that was interrupted goes on where it stopped when
/// the same command is run again.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(required = true)]
    source: Vec<String>,
    /// Name of the push on the server: letters, digits, `.`, `_` and `-`.
    #[arg(long)]
    id: String,
    /// Submit a job on the samples once they are there.
    #[arg(long, requires = "name")]
    submit: bool,
    /// With --submit: curriculum to publish under.
    #[arg(long, requires = "submit")]
    name: Option<String>,
    /// With --submit: wait until the job has ended.
    #[arg(long, requires = "submit")]
    wait: bool,
    #[command(flatten)]
    layout: LayoutArgs,
    #[command(flatten)]
    job: JobArgs,
    #[command(flatten)]
    waiting: WaitArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    if args.waiting.deadline().is_some() && !args.wait {
        return Err(BadInput("--timeout: needs --wait".to_owned()).into());
    }
    let list = list(&args.source)?;
    let uri = match &list {
        Some(list) => list.path().to_string_lossy().into_owned(),
        None => submit::absolute(&args.source[0]),
    };
    let manifest = open(args.layout.source(uri)?).await?;
    let pusher = Pusher {
        server: args.server.clone(),
        name: args.id.clone(),
        fingerprint: fingerprint(&manifest)?,
        manifest,
    };
    let state = pusher.run(args.waiting.backoff()).await?;
    let Some(name) = args.name.filter(|_| args.submit) else {
        show(&args.id, &state, args.output.form() == submit::Output::Json);
        return Ok(());
    };
    let request = args.job.request(name, state.source);
    // The time limit is the job's: however long the samples took to arrive.
    let deadline = args.waiting.deadline();
    let wait = args.wait.then_some((&args.waiting, deadline));
    submit::submit(&args.server, request, wait, args.output).await
}

/// Lists what is here; Ctrl-C ends it.
async fn open(source: Source) -> anyhow::Result<Arc<Manifest>> {
    let (sender, receiver) = mpsc::channel();
    interruptible(move |mut watch| {
        let mut progress = |rows| watch.report("list", "listing samples", rows, 0);
        let manifest = Manifest::open(&source, &Access::unrestricted(), &mut progress);
        watch.finish();
        let manifest = manifest.map_err(|error| BadInput(error.to_string()))?;
        if manifest.kind() == Kind::Assignments {
            let reason = "a finished clustering is small: submit it where the server can read it";
            return Err(BadInput(reason.to_owned()).into());
        }
        // The receiver lives as long as this function.
        let _ = sender.send(manifest);
        Ok(())
    })
    .await?;
    let manifest = receiver.try_recv();
    Ok(Arc::new(manifest.map_err(|_| crate::exit::Interrupted)?))
}

/// Several sources as one: a list file.
fn list(sources: &[String]) -> Result<Option<NamedTempFile>, BadInput> {
    if sources.len() < 2 {
        return Ok(None);
    }
    let write = || {
        let mut file = tempfile::Builder::new().suffix(".list").tempfile()?;
        for source in sources {
            writeln!(file, "{}", submit::absolute(source))?;
        }
        file.flush()?;
        Ok(file)
    };
    let file = write().map_err(|error: std::io::Error| BadInput(error.to_string()))?;
    Ok(Some(file))
}

fn show(id: &str, state: &v1::PushResponse, json: bool) {
    match json {
        true => print(json!({
            "push": id,
            "samples": state.samples,
            "bytes": state.bytes,
            "complete": state.complete,
            "source": state.source,
        })),
        false => print(format_args!(
            "{}: {} samples, {} bytes",
            state.source,
            grouped(state.samples),
            grouped(state.bytes)
        )),
    }
}
