//! `curriculum submit`

use crate::{
    backoff::Backoff,
    client::ServerArgs,
    exit::{BadInput, JobEnded, Unreachable},
    github::Step,
    parameters::ParameterArgs,
    table::print,
    watch::{self, Followed, WaitArgs, describe, reason},
};
use anyhow::Context;
use curriculum_proto::v1::{self, ingest_service_client::IngestServiceClient};
use serde_json::json;
use std::path::Path;
use tonic::transport::Channel;

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
    /// Jobs of higher priority go first, -1000 to 1000.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    priority: i32,
    /// Make a new version even where the same content and parameters have one; features are used again.
    #[arg(long)]
    force: bool,
    /// Wait until the job has ended, showing its progress, over restarts of the server.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    waiting: WaitArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    parameters: ParameterArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// How results are given.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct OutputArgs {
    /// What to print: text, json (one object), or github, which is text, and appends a summary to
    /// $GITHUB_STEP_SUMMARY and job, state, version and more to $GITHUB_OUTPUT.
    #[arg(long, value_name = "FORM", conflicts_with = "json")]
    output: Option<Output>,
    /// The same as --output json.
    #[arg(long)]
    json: bool,
}

/// The forms of results.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Text,
    Json,
    Github,
}

impl OutputArgs {
    pub(crate) fn form(self) -> Output {
        match (self.json, self.output) {
            (true, _) => Output::Json,
            (false, form) => form.unwrap_or(Output::Text),
        }
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let deadline = args.waiting.deadline();
    if deadline.is_some() && !args.wait {
        return Err(BadInput("--timeout: needs --wait".to_owned()).into());
    }
    let form = args.output.form();
    let step = match form {
        Output::Github => Some(Step::from_environment()?),
        Output::Text | Output::Json => None,
    };
    let answer = tokio::select! {
        answer = submit(&args) => answer?,
        () = watch::until(deadline) => {
            let id = "(not confirmed yet)".to_owned();
            return Err(JobEnded::TimedOut { id }.into());
        }
    };
    let job = answer.job.context("the server sent no job")?;
    if form != Output::Json {
        let queued = if answer.created { "queued" } else { "is known" };
        print(format_args!(
            "job {} {queued}: {} samples",
            job.id, job.sample_count
        ));
    }
    if !args.wait {
        return show(form, step.as_ref(), &job, &describe(&job), answer.created);
    }
    let followed = watch::follow(&args.server, &args.waiting, deadline, job).await?;
    let Followed { job, .. } = &followed;
    show(form, step.as_ref(), job, &followed.state(), answer.created)?;
    followed.check()?;
    if form != Output::Json {
        print(format_args!(
            "published `{}` as version {}",
            job.curriculum, job.version
        ));
    }
    Ok(())
}

/// Submitting again is harmless, so whoever waits may ask until the server is back.
async fn submit(args: &Args) -> anyhow::Result<v1::SubmitJobResponse> {
    let request = v1::SubmitJobRequest {
        curriculum: args.name.clone(),
        source: absolute(&args.source),
        model: args.model.clone().unwrap_or_default(),
        parameters: Some(args.parameters.to_proto()),
        priority: args.priority,
        force: args.force,
        ..v1::SubmitJobRequest::default()
    };
    // A server that was never there is an error at once.
    let mut client = args.server.ingest().await?;
    let mut backoff = args.waiting.backoff();
    loop {
        let error = match client.submit_job(request.clone()).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => anyhow::Error::from(status),
        };
        if !args.wait || !crate::exit::is_connection(&error) {
            return Err(error);
        }
        client = reconnect(&args.server, &mut backoff, error).await?;
    }
}

type Client = IngestServiceClient<Channel>;

/// A new connection, however long the server is away within the bounds of `backoff`.
pub(crate) async fn reconnect(
    server: &ServerArgs,
    backoff: &mut Backoff,
    mut error: anyhow::Error,
) -> anyhow::Result<Client> {
    loop {
        let cause = watch::text(&error);
        let Some(pause) = backoff.pause() else {
            let server = server.server.clone();
            return Err(Unreachable { server, cause }.into());
        };
        tokio::time::sleep(pause).await;
        error = match server.ingest().await {
            Ok(client) => return Ok(client),
            Err(error) if watch::is_passing(&error) => error,
            Err(error) => return Err(error),
        };
    }
}

/// The server does not share our working directory. A path that only the server knows goes as it is.
pub(crate) fn absolute(source: &str) -> String {
    let found = Path::new(source).canonicalize().ok();
    found
        .and_then(|path| path.into_os_string().into_string().ok())
        .unwrap_or_else(|| source.to_owned())
}

/// Where the job stands, in the form asked for.
pub(crate) fn show(
    form: Output,
    step: Option<&Step>,
    job: &v1::Job,
    state: &str,
    created: bool,
) -> anyhow::Result<()> {
    if let Some(step) = step {
        let title = format!("Curriculum {}: {state}", job.curriculum);
        step.write(&title, &facts(job, state, created))?;
    }
    match form {
        Output::Json => print(as_json(job, state, created)),
        Output::Text | Output::Github => print(format_args!("state: {state}")),
    }
    Ok(())
}

fn facts(job: &v1::Job, state: &str, created: bool) -> Vec<(&'static str, String)> {
    let seconds: f64 = job.seconds.iter().map(|spent| spent.seconds).sum();
    vec![
        ("curriculum", job.curriculum.clone()),
        ("state", state.to_owned()),
        ("version", job.version.clone()),
        ("job", job.id.clone()),
        ("created", created.to_string()),
        ("source", job.source.clone()),
        ("samples", job.sample_count.to_string()),
        ("failed", job.failed_count.to_string()),
        ("seconds", format!("{seconds:.1}")),
        ("reason", reason(job).to_owned()),
        ("warnings", job.warnings.join("\n")),
    ]
}

fn as_json(job: &v1::Job, state: &str, created: bool) -> serde_json::Value {
    json!({
        "job": job.id,
        "created": created,
        "curriculum": job.curriculum,
        "state": state,
        "version": job.version,
        "samples": job.sample_count,
        "failed": job.failed_count,
        "seconds": seconds(job),
        "reason": job.failure.as_ref().map(|failure| &failure.reason),
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
