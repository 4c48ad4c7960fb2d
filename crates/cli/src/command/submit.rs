//! `curriculum submit`

use crate::{
    backoff::Backoff,
    client::{Connection, ServerArgs},
    exit::{BadInput, JobEnded, is_connection},
    github::Step,
    parameters::ParameterArgs,
    table::print,
    watch::{self, Followed, WaitArgs, published, reason, state_name},
};
use anyhow::Context;
use curriculum_manifest::{Columns, Source};
use curriculum_proto::v1::{self, ingest_service_client::IngestServiceClient};
use serde_json::json;
use std::path::Path;
use tokio::time::Instant;

/// Submit a job: features, clusters and difficulties of a dataset.
///
/// SOURCE is a path as the server sees it, or a URL (s3, gs, az, http, https): an image folder, a
/// WebDataset .tar, a .jsonl manifest, and other formats; braces expand, as in
/// train-{000000..000146}.tar. Or `pushed:ID`, which `push` made. Submitting the same again finds the
/// job that is there.
#[derive(clap::Args)]
pub(crate) struct Args {
    source: String,
    /// Curriculum to publish under.
    #[arg(long)]
    name: String,
    /// Wait until the job has ended, showing its progress, over restarts of the server.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    waiting: WaitArgs,
    #[command(flatten)]
    layout: LayoutArgs,
    #[command(flatten)]
    job: JobArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// How a source is laid out.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct LayoutArgs {
    /// Format of the source, such as image-folder, webdataset, jsonl, csv or parquet [default: found out
    /// from names and content].
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Column or field with the samples' ids.
    #[arg(long, value_name = "NAME")]
    id_column: Option<String>,
    /// Column or field with the paths or URLs of images.
    #[arg(long, value_name = "NAME")]
    path_column: Option<String>,
    /// Column or field with the labels.
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// Column with embedded images.
    #[arg(long, value_name = "NAME")]
    image_column: Option<String>,
    /// Column with features.
    #[arg(long, value_name = "NAME")]
    vector_column: Option<String>,
}

/// What a job does with its source.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct JobArgs {
    /// Model that the server must run [default: whichever it runs; none for features].
    #[arg(long)]
    model: Option<String>,
    /// What tells whether a sample changed: bytes, or etag, which reads nothing but trusts the object
    /// store.
    #[arg(long, value_name = "IDENTITY", default_value = "bytes")]
    identity: Identity,
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
    /// Keep the clusters and scores of this version of the curriculum, and measure only samples that are
    /// new against them [default: fit anew].
    #[arg(long, value_name = "VERSION|ALIAS")]
    extend: Option<String>,
    #[command(flatten)]
    parameters: ParameterArgs,
}

/// What tells whether a sample changed.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Identity {
    Bytes,
    Etag,
}

impl LayoutArgs {
    /// The source at `uri`, read on this machine.
    ///
    /// # Errors
    /// [`BadInput`] when there is no such format.
    pub(crate) fn source(&self, uri: String) -> Result<Source, BadInput> {
        let format = self.format.as_deref().map(str::parse).transpose();
        Ok(Source {
            format: format.map_err(|reason: String| BadInput(format!("--format: {reason}")))?,
            columns: Columns {
                id: self.id_column.clone(),
                path: self.path_column.clone(),
                label: self.label_column.clone(),
                image: self.image_column.clone(),
                vector: self.vector_column.clone(),
            },
            ..Source::new(uri)
        })
    }

    fn columns(&self) -> v1::Columns {
        v1::Columns {
            id: self.id_column.clone(),
            path: self.path_column.clone(),
            label: self.label_column.clone(),
            image: self.image_column.clone(),
            vector: self.vector_column.clone(),
        }
    }
}

impl JobArgs {
    /// A job on `source` for the curriculum `name`.
    pub(crate) fn request(&self, name: String, source: String) -> v1::SubmitJobRequest {
        let identity = match self.identity {
            Identity::Bytes => v1::Identity::Bytes,
            Identity::Etag => v1::Identity::Etag,
        };
        v1::SubmitJobRequest {
            curriculum: name,
            source,
            model: self.model.clone().unwrap_or_default(),
            parameters: Some(self.parameters.to_proto()),
            identity: identity.into(),
            priority: self.priority,
            force: self.force,
            extend: self.extend.clone().unwrap_or_default(),
            ..v1::SubmitJobRequest::default()
        }
    }
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
    let request = v1::SubmitJobRequest {
        format: args.layout.format.clone().unwrap_or_default(),
        columns: Some(args.layout.columns()),
        ..args.job.request(args.name, absolute(&args.source))
    };
    let wait = args.wait.then_some((&args.waiting, deadline));
    submit(&args.server, request, wait, args.output).await
}

/// How long to wait for the end of a job, and until when.
pub(crate) type Wait<'a> = Option<(&'a WaitArgs, Option<Instant>)>;

/// Submits a job, waits for it if asked to, and shows what became of it.
///
/// # Errors
/// [`JobEnded`], or why the job could not be submitted or followed.
pub(crate) async fn submit(
    server: &ServerArgs,
    request: v1::SubmitJobRequest,
    wait: Wait<'_>,
    output: OutputArgs,
) -> anyhow::Result<()> {
    let form = output.form();
    let step = match form {
        Output::Github => Some(Step::from_environment()?),
        Output::Text | Output::Json => None,
    };
    let deadline = wait.and_then(|(_, deadline)| deadline);
    let curriculum = request.curriculum.clone();
    let answer = tokio::select! {
        answer = ask(server, request, wait) => answer,
        () = watch::until(deadline) => {
            let id = "(not confirmed yet)".to_owned();
            Err(JobEnded::TimedOut { id }.into())
        }
    };
    let answer = match (answer, &step) {
        (Err(error), Some(step)) => {
            let title = format!("Curriculum {curriculum}: not submitted");
            let facts = [
                ("curriculum", curriculum),
                ("state", "not submitted".to_owned()),
                ("reason", watch::text(&error)),
            ];
            step.write(&title, &facts)?;
            return Err(error);
        }
        (answer, _) => answer?,
    };
    let job = answer.job.context("the server sent no job")?;
    if form != Output::Json {
        let queued = if answer.created { "queued" } else { "is known" };
        print(format_args!(
            "job {} {queued}: {} samples",
            job.id, job.sample_count
        ));
    }
    let Some((waiting, deadline)) = wait else {
        return show(form, step.as_ref(), &job, state_name(&job), answer.created);
    };
    let followed = watch::follow(server, waiting, deadline, job).await?;
    let Followed { job, .. } = &followed;
    show(form, step.as_ref(), job, followed.state(), answer.created)?;
    followed.check()?;
    if form != Output::Json {
        print(format_args!(
            "published `{}` as version {}",
            job.curriculum, job.version
        ));
    }
    Ok(())
}

/// Submitting again is harmless, so whoever waits may ask until the server is back. With `force` each
/// call makes another job, so it is made once.
async fn ask(
    server: &ServerArgs,
    request: v1::SubmitJobRequest,
    wait: Wait<'_>,
) -> anyhow::Result<v1::SubmitJobResponse> {
    // A server that was never there is an error at once.
    let mut client = server.ingest().await?;
    let mut backoff = wait.map(|(waiting, _)| waiting.backoff());
    loop {
        let error = match client.submit_job(request.clone()).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => anyhow::Error::from(status),
        };
        // Of the refusals, those that say when to come back are passing.
        let may_pass = is_connection(&error) || !watch::retry_delay(&error).is_zero();
        match &mut backoff {
            Some(backoff) if !request.force && may_pass => {
                client = reconnect(server, backoff, error).await?;
            }
            Some(_) | None => return Err(error),
        }
    }
}

type Client = IngestServiceClient<Connection>;

/// A new connection, however long the server is away within the bounds of `backoff`.
async fn reconnect(
    server: &ServerArgs,
    backoff: &mut Backoff,
    mut error: anyhow::Error,
) -> anyhow::Result<Client> {
    loop {
        tokio::time::sleep(watch::pause(backoff, server, error)?).await;
        error = match server.ingest().await {
            Ok(client) => return Ok(client),
            Err(error) if watch::is_passing(&error) => error,
            Err(error) => return Err(error),
        };
    }
}

/// The server does not share our working directory. A path that only the server knows, a URL and a
/// push go as they are; of a pattern, the folder before its first brace is what counts.
pub(crate) fn absolute(source: &str) -> String {
    let fixed = source.split('{').next().unwrap_or_default();
    let (folder, pattern) = match (fixed.len() == source.len(), fixed.rfind('/')) {
        (true, _) => (source, ""),
        (false, Some(slash)) => source.split_at(slash),
        (false, None) => (".", source),
    };
    let found = Path::new(folder).canonicalize().ok();
    match found.and_then(|path| path.into_os_string().into_string().ok()) {
        Some(path) if pattern.is_empty() => path,
        Some(path) => format!("{path}/{}", pattern.trim_start_matches('/')),
        None => source.to_owned(),
    }
}

/// Where the job stands, in the form asked for.
fn show(
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
        ("version", published(job).to_owned()),
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
        "version": published(job),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_here_is_named_in_full() {
        let here = Path::new(".").canonicalize().unwrap();
        let here = here.to_str().unwrap();
        assert_eq!(absolute("src"), format!("{here}/src"));
        assert_eq!(absolute("x-{0..3}.tar"), format!("{here}/x-{{0..3}}.tar"));
        assert_eq!(
            absolute("src/x-{0..3}.tar"),
            format!("{here}/src/x-{{0..3}}.tar")
        );
        for elsewhere in [
            "s3://b/x-{0..3}.tar",
            "pushed:p",
            "/no/such/x.tar",
            "{a,b}/x.tar",
        ] {
            let expected = match elsewhere.starts_with('{') {
                true => format!("{here}/{elsewhere}"),
                false => elsewhere.to_owned(),
            };
            assert_eq!(absolute(elsewhere), expected);
        }
    }
}
