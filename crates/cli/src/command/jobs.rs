//! `curriculum jobs`

use super::submit::seconds;
use crate::{
    client::{Connection, ServerArgs},
    exit::BadInput,
    report::clipped,
    table::{ago, number, print, table},
    watch::{self, WaitArgs, describe, published, stage_name, state_name},
};
use anyhow::Context;
use curriculum_proto::v1::{self, ingest_service_client::IngestServiceClient};
use serde_json::json;

/// Characters shown of a sample's id and of a reason; `--json` has all.
const ID_WIDTH: usize = 60;
const REASON_WIDTH: usize = 400;

/// Jobs, and errors, that a call returns at most.
const MOST: u32 = 1_000;

/// List jobs, or show, watch, cancel or retry one.
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
    /// Put a job that has ended in the queue again, for the samples that failed only.
    #[arg(long, requires = "id", conflicts_with = "cancel")]
    retry: bool,
    /// Jobs to list, newest first; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "id")]
    limit: u64,
    /// Failed samples to show of a job, lowest index first; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    errors: u64,
    /// Show only failed samples beyond this index.
    #[arg(long, value_name = "INDEX", requires = "id")]
    errors_after: Option<u64>,
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
        let jobs = list(&mut client, args.limit).await?;
        match args.json {
            true => print(serde_json::Value::Array(
                jobs.iter().map(|job| as_json(job, &[])).collect(),
            )),
            false => print(overview(&jobs)),
        }
        return Ok(());
    };
    if args.cancel {
        let id = id.clone();
        client.cancel_job(v1::CancelJobRequest { id }).await?;
    }
    if args.retry {
        let id = id.clone();
        client.retry_job(v1::RetryJobRequest { id }).await?;
    }
    if args.watch {
        let request = v1::GetJobRequest {
            id: id.clone(),
            max_errors: Some(0),
            errors_after: None,
        };
        let job = client.get_job(request).await?.into_inner().job;
        let job = job.context("the server sent no job")?;
        let followed = watch::follow(&args.server, &args.waiting, deadline, job).await?;
        followed.check()?;
        // The server may have been another since.
        client = args.server.ingest().await?;
    }
    let (job, errors) = fetch(&mut client, id, args.errors, args.errors_after).await?;
    match args.json {
        true => print(as_json(&job, &errors)),
        false => show(&job, &errors),
    }
    Ok(())
}

type Client = IngestServiceClient<Connection>;

/// The newest jobs, page by page: `limit` of them, 0 for all.
async fn list(client: &mut Client, limit: u64) -> anyhow::Result<Vec<v1::Job>> {
    let mut jobs = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListJobsRequest {
            page_size: Some(rest(limit, jobs.len())),
            page_token,
        };
        let mut page = client.list_jobs(request).await?.into_inner();
        jobs.append(&mut page.jobs);
        if page.next_page_token.is_empty() || (limit > 0 && jobs.len() as u64 >= limit) {
            return Ok(jobs);
        }
        page_token = page.next_page_token;
    }
}

/// A job and its failed samples beyond `after`, page by page: `limit` of them, 0 for all.
async fn fetch(
    client: &mut Client,
    id: String,
    limit: u64,
    mut after: Option<u64>,
) -> anyhow::Result<(v1::Job, Vec<v1::SampleError>)> {
    let mut errors = Vec::new();
    loop {
        let request = v1::GetJobRequest {
            id: id.clone(),
            max_errors: Some(rest(limit, errors.len())),
            errors_after: after,
        };
        let mut page = client.get_job(request).await?.into_inner();
        let job = page.job.context("the server sent no job")?;
        after = page.errors.last().map(|error| error.index);
        errors.append(&mut page.errors);
        if !page.more_errors || after.is_none() || (limit > 0 && errors.len() as u64 >= limit) {
            return Ok((job, errors));
        }
    }
}

/// What to ask for of the `limit` when `known` are there.
fn rest(limit: u64, known: usize) -> u32 {
    let rest = limit.saturating_sub(known as u64);
    match u32::try_from(rest) {
        Ok(rest) if limit > 0 => rest.min(MOST),
        Ok(_) | Err(_) => MOST,
    }
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
        published(job)
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
        "state": state_name(job),
        "activity": job.progress.as_ref().map(|progress| &progress.activity),
        "stage": stage_name(job.stage()),
        "samples": job.sample_count,
        "failed": job.failed_count,
        "priority": job.priority,
        "attempt": job.attempt,
        "version": published(job),
        "reason": job.failure.as_ref().map(|failure| &failure.reason),
        "seconds": seconds(job),
        "warnings": job.warnings,
        "errors": errors.iter().map(|e| json!({"index": e.index, "id": e.id, "reason": e.reason})).collect::<Vec<_>>(),
    })
}
