//! `curriculum submit`

use crate::{
    client::ServerArgs,
    parameters::ParameterArgs,
    table::print,
    watch::{self, describe},
};
use anyhow::Context;
use curriculum_proto::v1;
use serde_json::json;
use std::path::Path;

/// Submit a job: features, clusters and difficulties of a dataset.
///
/// SOURCE is an image folder (one sub-folder per class), a WebDataset .tar, or a .jsonl manifest
/// (one object a line: id, path, optional label), as the server sees it. Submitting the same again
/// finds the job that is there.
#[derive(clap::Args)]
pub(crate) struct Args {
    source: String,
    /// Curriculum to publish under.
    #[arg(long)]
    name: String,
    /// Model that the server must run [default: whichever it runs].
    #[arg(long)]
    model: Option<String>,
    /// Wait until the job has ended, showing its progress.
    #[arg(long)]
    wait: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    parameters: ParameterArgs,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut client = args.server.ingest().await?;
    let request = v1::SubmitJobRequest {
        curriculum: args.name,
        source: absolute(&args.source),
        model: args.model.unwrap_or_default(),
        parameters: Some(args.parameters.to_proto()),
    };
    let answer = client.submit_job(request).await?.into_inner();
    let mut job = answer.job.context("the server sent no job")?;
    if !args.json {
        let queued = if answer.created { "queued" } else { "is known" };
        print(format_args!(
            "job {} {queued}: {} samples",
            job.id, job.sample_count
        ));
    }
    if args.wait {
        job = watch::follow(&mut client, job).await?;
    }
    if args.json {
        print(as_json(&job, answer.created));
    } else if args.wait {
        print(format_args!(
            "published `{}` as version {}",
            job.curriculum, job.version
        ));
    } else {
        print(format_args!("state: {}", describe(&job)));
    }
    Ok(())
}

/// The server does not share our working directory. A path that only the server knows goes as it is.
fn absolute(source: &str) -> String {
    let found = Path::new(source).canonicalize().ok();
    found
        .and_then(|path| path.into_os_string().into_string().ok())
        .unwrap_or_else(|| source.to_owned())
}

fn as_json(job: &v1::Job, created: bool) -> serde_json::Value {
    json!({
        "job": job.id,
        "created": created,
        "curriculum": job.curriculum,
        "state": describe(job),
        "version": job.version,
        "samples": job.sample_count,
        "failed": job.failed_count,
        "seconds": seconds(job),
    })
}

/// Seconds by finished stage.
pub(crate) fn seconds(job: &v1::Job) -> serde_json::Value {
    let by_stage = job
        .seconds
        .iter()
        .map(|s| (watch::stage_name(s.stage()).to_owned(), json!(s.seconds)));
    serde_json::Value::Object(by_stage.collect())
}
