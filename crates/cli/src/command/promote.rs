//! `curriculum promote`

use crate::{client::ServerArgs, table::print};
use curriculum_proto::v1;
use serde_json::json;

/// Make an alias of a curriculum, such as `prod`, point at a version.
///
/// Whoever reads NAME@ALIAS gets that version from then on; whoever pins a version stays with it.
/// `rollback` undoes it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The version to promote: NAME for the newest, NAME@VERSION, or NAME@ALIAS.
    #[arg(value_name = "NAME[@VERSION]")]
    version: String,
    /// The alias, such as `prod`; made if need be.
    alias: String,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut client = args.server.ingest().await?;
    let (name, version) = split(&args.version);
    let request = v1::PromoteVersionRequest {
        curriculum: name.to_owned(),
        alias: args.alias.clone(),
        version: version.to_owned(),
    };
    let answer = client.promote_version(request).await?.into_inner();
    show(name, &args.alias, &answer.version, args.json);
    Ok(())
}

/// `NAME@VERSION` in its parts; the version is empty for the newest.
pub(crate) fn split(text: &str) -> (&str, &str) {
    text.split_once('@').unwrap_or((text, ""))
}

/// What an alias points at.
pub(crate) fn show(name: &str, alias: &str, version: &str, json: bool) {
    match json {
        true => print(json!({"curriculum": name, "alias": alias, "version": version})),
        false => print(format_args!("{name}@{alias} is version {version}")),
    }
}
