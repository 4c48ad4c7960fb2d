//! `curriculum rollback`

use super::promote::show;
use crate::client::ServerArgs;
use curriculum_proto::v1;

/// Make an alias of a curriculum point at what it pointed at before.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of the curriculum.
    name: String,
    /// The alias, such as `prod`.
    alias: String,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut client = args.server.ingest().await?;
    let request = v1::RollBackAliasRequest {
        curriculum: args.name.clone(),
        alias: args.alias.clone(),
    };
    let answer = client.roll_back_alias(request).await?.into_inner();
    show(&args.name, &args.alias, &answer.version, args.json);
    Ok(())
}
