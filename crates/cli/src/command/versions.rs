//! `curriculum versions`

use crate::{
    client::ServerArgs,
    table::{ago, grouped, number, print, table},
};
use anyhow::Context;
use clap::Subcommand;
use curriculum_proto::v1;
use serde_json::json;

/// List the versions of a curriculum, or delete one.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(ListArgs),
    Delete(DeleteArgs),
}

/// List the versions of a curriculum, newest first, with the aliases that point at them.
#[derive(clap::Args)]
struct ListArgs {
    /// Name of the curriculum.
    name: String,
    /// Print a JSON array instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Delete a version; one that an alias points at is refused, and so is the newest.
#[derive(clap::Args)]
struct DeleteArgs {
    /// Name of the curriculum.
    name: String,
    /// The version, 64 hexadecimal digits.
    version: String,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::List(args) => list(args).await,
        Command::Delete(args) => delete(args).await,
    }
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let mut client = args.server.curricula().await?;
    let request = v1::GetCurriculumRequest {
        curriculum: args.name.clone(),
        version: String::new(),
    };
    let answer = client.get_curriculum(request).await?.into_inner();
    let curriculum = answer.curriculum.context("the server sent no curriculum")?;
    let mut versions = Vec::new();
    for id in &curriculum.versions {
        let request = v1::GetCurriculumRequest {
            curriculum: args.name.clone(),
            version: id.clone(),
        };
        let answer = client.get_curriculum(request).await?.into_inner();
        versions.push(answer.version.context("the server sent no version")?);
    }
    match args.json {
        true => print(as_json(&curriculum, &versions)),
        false => print(overview(&curriculum, &versions)),
    }
    Ok(())
}

async fn delete(args: DeleteArgs) -> anyhow::Result<()> {
    let mut client = args.server.ingest().await?;
    let request = v1::DeleteVersionRequest {
        curriculum: args.name.clone(),
        version: args.version.clone(),
    };
    client.delete_version(request).await?;
    print(format_args!(
        "version {} of `{}` is deleted",
        args.version, args.name
    ));
    Ok(())
}

/// Aliases that point at `version`, `latest` too.
fn aliases<'a>(curriculum: &'a v1::Curriculum, version: &str) -> Vec<&'a str> {
    let newest = curriculum.versions.first().is_some_and(|v| v == version);
    let aliases = curriculum.aliases.iter();
    let named = aliases.filter(|alias| alias.version == version);
    newest
        .then_some("latest")
        .into_iter()
        .chain(named.map(|alias| alias.name.as_str()))
        .collect()
}

fn overview(curriculum: &v1::Curriculum, versions: &[v1::Version]) -> comfy_table::Table {
    let mut table = table(["version", "aliases", "samples", "model", "made"]);
    for version in versions {
        let samples = version.summary.as_ref().map_or(0, |s| s.sample_count);
        table.add_row([
            version.id.as_str().into(),
            aliases(curriculum, &version.id).join(", ").into(),
            number(grouped(samples)),
            version.model.as_str().into(),
            ago(version.created_at_ms).into(),
        ]);
    }
    table
}

fn as_json(curriculum: &v1::Curriculum, versions: &[v1::Version]) -> serde_json::Value {
    let version = |version: &v1::Version| {
        json!({
            "version": version.id,
            "aliases": aliases(curriculum, &version.id),
            "samples": version.summary.as_ref().map(|summary| summary.sample_count),
            "model": version.model,
            "source": version.source,
            "created_at_ms": version.created_at_ms,
        })
    };
    versions.iter().map(version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_latest() {
        let alias = v1::Alias {
            name: "prod".to_owned(),
            version: "a".to_owned(),
            previous: Vec::new(),
        };
        let curriculum = v1::Curriculum {
            name: "c".to_owned(),
            versions: ["a", "b"].map(str::to_owned).to_vec(),
            aliases: vec![alias],
        };
        assert_eq!(aliases(&curriculum, "a"), ["latest", "prod"]);
        assert!(aliases(&curriculum, "b").is_empty());
    }
}
