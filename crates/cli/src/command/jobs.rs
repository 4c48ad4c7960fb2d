//! `curriculum jobs`

use super::submit::seconds;
use crate::{
    client::ServerArgs,
    exit::BadInput,
    report::clipped,
    table::{ago, number, print, table},
    watch::{self, WaitArgs, describe, stage_name},
};
use anyhow::Context;
use curriculum_proto::v1;
use serde_json::json;

/// Characters shown of a sample's id and of a reason; `--json` has all.
const ID_WIDTH: usize = 60;
const REASON_WIDTH: usize = 400;

/// List jobs, or show, watch or cancel one.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Job to show, with its failed samples.
    id: Option<String>,
    /// Follow the job to its end, over restarts of the server.
    #[arg(long, requires = "id", conflicts_with = "cancel")]
    watch: bool,
    #[command(flatten)]
    waiting: WaitArgs,
    /// Stop the job at its next chunk.
    #[arg(long, requires = "id")]
    cancel: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let deadline = args.waiting.deadline();
    if deadline.is_some() && !args.watch {
        return Err(BadInput("--timeout: needs --watch".to_owned()).into());
    }
    let mut client = args.server.ingest().await?;
    let Some(id) = args.id else {
        let jobs = client
            .list_jobs(v1::ListJobsRequest {})
            .await?
            .into_inner()
            .jobs;
        if args.json {
            print(serde_json::Value::Array(
                jobs.iter().map(|job| as_json(job, &[])).collect(),
            ));
        } else {
            print(overview(&jobs));
        }
        return Ok(());
    };
    if args.cancel {
        client
            .cancel_job(v1::CancelJobRequest { id: id.clone() })
            .await?;
    }
    let request = v1::GetJobRequest {
        id,
        max_errors: None,
    };
    let answer = client.get_job(request.clone()).await?.into_inner();
    let mut job = answer.job.context("the server sent no job")?;
    if args.watch {
        let followed = watch::follow(&args.server, &args.waiting, deadline, job).await?;
        followed.check()?;
        job = followed.job;
    }
    if args.json {
        print(as_json(&job, &answer.errors));
    } else {
        show(&job, &answer.errors);
    }
    Ok(())
}

fn overview(jobs: &[v1::Job]) -> comfy_table::Table {
    let mut table = table([
        "job",
        "curriculum",
        "state",
        "stage",
        "samples",
        "failed",
        "submitted",
    ]);
    for job in jobs {
        table.add_row([
            job.id.as_str().into(),
            job.curriculum.as_str().into(),
            describe(job).into(),
            stage_name(job.stage()).into(),
            number(job.sample_count),
            number(job.failed_count),
            ago(job.submitted_at_ms).into(),
        ]);
    }
    table
}

fn show(job: &v1::Job, errors: &[v1::SampleError]) {
    print(overview(std::slice::from_ref(job)));
    print(format_args!(
        "source   {}\nmodel    {}\nversion  {}",
        clipped(&job.source, REASON_WIDTH),
        job.model,
        job.version
    ));
    for spent in &job.seconds {
        print(format_args!(
            "{:10} {:8.2} s",
            stage_name(spent.stage()),
            spent.seconds
        ));
    }
    if let Some(failure) = &job.failure {
        print(format_args!(
            "failed after {}: {}",
            stage_name(job.stage()),
            clipped(&failure.reason, REASON_WIDTH)
        ));
    }
    for warning in &job.warnings {
        print(format_args!("warning  {}", clipped(warning, REASON_WIDTH)));
    }
    if !errors.is_empty() {
        let mut table = table(["index", "sample", "error"]);
        for error in errors {
            table.add_row([
                number(error.index),
                clipped(&error.id, ID_WIDTH).into(),
                clipped(&error.reason, REASON_WIDTH).into(),
            ]);
        }
        print(table);
    }
}

fn as_json(job: &v1::Job, errors: &[v1::SampleError]) -> serde_json::Value {
    json!({
        "id": job.id,
        "curriculum": job.curriculum,
        "source": job.source,
        "model": job.model,
        "state": describe(job),
        "stage": stage_name(job.stage()),
        "samples": job.sample_count,
        "failed": job.failed_count,
        "version": job.version,
        "reason": job.failure.as_ref().map(|failure| &failure.reason),
        "seconds": seconds(job),
        "warnings": job.warnings,
        "errors": errors.iter().map(|e| json!({"index": e.index, "id": e.id, "reason": e.reason})).collect::<Vec<_>>(),
    })
}
