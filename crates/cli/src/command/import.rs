//! `curriculum import`

use crate::{client::ServerArgs, exit::BadInput, table::print};
use anyhow::Context;
use curriculum_proto::v1::{self, import_version_request::Part};
use serde_json::json;
use std::path::{Path, PathBuf};
use tokio::{fs::File, io::AsyncReadExt, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// Bytes of a message.
const PIECE: usize = 1 << 20;

/// Pieces that wait for the server.
const WAITING: usize = 2;

/// Take a version that `export NAME --out FILE.curriculum` wrote, from this server or another.
///
/// It keeps its id. A file that is damaged or cut off is refused as a whole.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "FILE.curriculum")]
    file: PathBuf,
    /// Curriculum whose newest version it becomes.
    #[arg(long)]
    name: String,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let path = args.file.as_path();
    let file = File::open(path).await;
    let file = file.map_err(|error| unreadable(path, &error))?;
    let mut client = args.server.ingest().await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let call = client.import_version(ReceiverStream::new(receiver));
    let (answer, sent) = tokio::join!(call, send(path, file, &args.name, sender));
    // A call that the server ended says more than the pieces that could not be sent.
    let version = answer?.into_inner().version;
    sent?;
    match args.json {
        true => print(json!({"curriculum": args.name, "version": version})),
        false => print(format_args!(
            "version {version} is the newest of `{}`",
            args.name
        )),
    }
    Ok(())
}

/// Dropping `sender` ends the stream; an unreadable file ends it early, which the server notices.
async fn send(
    path: &Path,
    mut file: File,
    name: &str,
    sender: mpsc::Sender<v1::ImportVersionRequest>,
) -> anyhow::Result<()> {
    let part = |part| v1::ImportVersionRequest { part: Some(part) };
    let header = v1::ImportHeader {
        curriculum: name.to_owned(),
    };
    let gone = "the server takes no more";
    sender
        .send(part(Part::Header(header)))
        .await
        .context(gone)?;
    loop {
        let mut data = Vec::with_capacity(PIECE);
        let read = (&mut file).take(PIECE as u64).read_to_end(&mut data).await;
        match read.map_err(|error| unreadable(path, &error))? {
            0 => return Ok(()),
            _ => sender.send(part(Part::Data(data))).await.context(gone)?,
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> BadInput {
    BadInput(format!("{}: {error}", path.display()))
}
