//! A version as one file.

use super::Args;
use crate::{arrays::Output, exit::BadInput, table::print};
use anyhow::Context;
use curriculum_proto::v1::{self, export_version_response::Part};
use serde_json::json;
use std::io::Write;

/// Writes what the server sends. The file appears when it is complete; its checksums are looked at when
/// it is imported.
pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    if super::file(&args.source).is_some() || args.labels.is_some() {
        let bad =
            "--out: only a server's curriculum can be written to a .curriculum, without --labels";
        return Err(BadInput(bad.to_owned()).into());
    }
    let output = Output::create(&args.out)?;
    let mut file = output.writer()?;
    let mut client = args.server.curricula().await?;
    let request = v1::ExportVersionRequest {
        curriculum: args.source.clone(),
        version: args.version.clone().unwrap_or_default(),
    };
    let mut messages = client.export_version(request).await?.into_inner();
    let (mut version, mut bytes) = (None, 0);
    while let Some(message) = messages.message().await? {
        match message.part {
            Some(Part::Header(header)) => version = Some(header.version),
            Some(Part::Data(data)) => {
                file.write_all(&data)
                    .map_err(|error| output.failed(&error))?;
                bytes += data.len() as u64;
            }
            None => {}
        }
    }
    file.flush().map_err(|error| output.failed(&error))?;
    drop(file);
    output.commit()?;
    let version = version.context("the server sent no header")?;
    match args.json {
        true => print(json!({"version": version, "bytes": bytes, "out": args.out})),
        false => print(format_args!(
            "version {version} written to {}, {bytes} bytes",
            args.out.display()
        )),
    }
    Ok(())
}
