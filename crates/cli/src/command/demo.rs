//! `curriculum demo`

use super::inspect::milestones;
use crate::{
    client::ServerArgs,
    exit::BadInput,
    report::{self, ImageSource},
    table::{number, print, table},
    watch::{self, WaitArgs, stage_name},
};
use anyhow::{Context, bail, ensure};
use curriculum_proto::v1;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// Name of the demo's curriculum.
const NAME: &str = "demo";

/// What the server prints before its address.
const LISTENING: &str = "listening on ";

/// Until the server listens: it loads the model first.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Until the server has ended after SIGTERM; a little more than it gives to open calls.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Lines of the server's log that are shown when it dies.
const LOG_TAIL: usize = 20;

/// Show the whole way, from images to weights and a report, on a server of its own.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Image folder, WebDataset .tar or .jsonl manifest.
    #[arg(default_value = "tests/data/fashion_mnist/train-2000.tar")]
    source: PathBuf,
    /// Where to write the report.
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    report: PathBuf,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let source = absolute(&args.source)?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut server = Server::start(folder.path()).await?;
    let outcome = tokio::select! {
        outcome = show(&server.address, source, &args.report) => outcome,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    match outcome {
        Ok(()) => server.stop().await,
        Err(error) => Err(server.cause_of(error)),
    }
}

/// The server runs in the same folder, but stores the source as given.
fn absolute(source: &Path) -> anyhow::Result<String> {
    let missing = |error| BadInput(format!("{}: {error}; give a SOURCE", source.display()));
    let path = source.canonicalize().map_err(missing)?;
    let path = path.into_os_string().into_string();
    Ok(path.map_err(|path| BadInput(format!("{} is not UTF-8", path.display())))?)
}

/// The job, the weights and the report.
async fn show(address: &str, source: String, path: &Path) -> anyhow::Result<()> {
    let server = ServerArgs::at(address);
    let mut ingest = server.ingest().await?;
    let request = v1::SubmitJobRequest {
        curriculum: NAME.to_owned(),
        source,
        ..v1::SubmitJobRequest::default()
    };
    let answer = ingest.submit_job(request).await?.into_inner();
    let job = answer.job.context("the server sent no job")?;
    print(format_args!(
        "{}: {} samples, model {}",
        job.source, job.sample_count, job.model
    ));
    let followed = watch::follow(&server, &WaitArgs::default(), None, job).await?;
    followed.check()?;
    let job = followed.job;

    let request = v1::GetCurriculumRequest {
        curriculum: NAME.to_owned(),
        version: job.version.clone(),
    };
    let facts = report::collect(&mut server.curricula().await?, request).await?;
    let clusters = facts.summary.clusters.len();
    let index = facts
        .summary
        .davies_bouldin
        .map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
    print(format_args!(
        "version {}\n{clusters} clusters, Davies–Bouldin {index}\n",
        job.version
    ));
    print(milestones(&facts));
    print(format_args!("\n{}", stages(&job)));
    report::write(facts, ImageSource::Version, path).await?;
    print(format_args!("\nreport written to {}", path.display()));
    Ok(())
}

fn stages(job: &v1::Job) -> comfy_table::Table {
    let mut table = table(["stage", "seconds"]);
    for spent in &job.seconds {
        table.add_row([
            stage_name(spent.stage()).into(),
            number(format!("{:.2}", spent.seconds)),
        ]);
    }
    let total: f64 = job.seconds.iter().map(|spent| spent.seconds).sum();
    table.add_row(["total".into(), number(format!("{total:.2}"))]);
    table
}

/// A server in a process of its own, with its data in a temporary folder.
struct Server {
    address: String,
    process: Child,
    log: PathBuf,
    /// Kept open: a server that cannot write to its standard output may end.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Server {
    async fn start(folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join("server.log");
        let stderr = std::fs::File::create(&log).context("cannot make the server's log")?;
        let mut process = Command::new(std::env::current_exe().context("cannot find this binary")?)
            .args(["serve", "--grpc-addr", "127.0.0.1:0"])
            .args(["--http-addr", "off", "--data-dir"])
            .arg(folder.join("data"))
            // Nobody sends calls to it who would have to hear of its end first.
            .env("CURRICULUM__GRPC__DRAIN_DELAY_SECONDS", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the server")?;
        let output = process
            .stdout
            .take()
            .context("the server has no standard output")?;
        let mut output = BufReader::new(output).lines();
        let address = match timeout(START_TIMEOUT, address(&mut output)).await {
            Ok(Some(address)) => address,
            Ok(None) => bail!("the server ended before it listened\n{}", tail(&log)),
            Err(_) => bail!(
                "the server did not listen in {START_TIMEOUT:?}\n{}",
                tail(&log)
            ),
        };
        Ok(Self {
            address,
            process,
            log,
            _output: output,
        })
    }

    /// Asks the server to end, and waits until it has.
    async fn stop(mut self) -> anyhow::Result<()> {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        let id = id.with_context(|| format!("the server has died\n{}", tail(&self.log)))?;
        kill(Pid::from_raw(id), Signal::SIGTERM).context("cannot stop the server")?;
        let ended = timeout(STOP_TIMEOUT, self.process.wait()).await;
        let ended =
            ended.with_context(|| format!("the server did not stop\n{}", tail(&self.log)))??;
        ensure!(
            ended.success(),
            "the server ended with {ended}\n{}",
            tail(&self.log)
        );
        Ok(())
    }

    /// `error`, unless the server has died: then that is why.
    fn cause_of(&mut self, error: anyhow::Error) -> anyhow::Error {
        match self.process.try_wait() {
            Ok(Some(ended)) => {
                anyhow::anyhow!("the server ended with {ended}\n{}", tail(&self.log))
            }
            Ok(None) | Err(_) => error,
        }
    }
}

/// The address that the server prints, or `None` when it ends without.
async fn address(output: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    while let Ok(Some(line)) = output.next_line().await {
        if let Some(address) = line.strip_prefix(LISTENING) {
            return Some(address.trim().to_owned());
        }
    }
    None
}

/// The end of the server's log.
fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_source_is_bad_input() {
        let error = absolute(Path::new("no/such/source.tar")).unwrap_err();
        assert!(error.is::<BadInput>() && error.to_string().contains("no/such/source.tar"));
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let lines: Vec<String> = (0..50).map(|i| format!("line {i}")).collect();
        std::fs::write(log.path(), lines.join("\n")).unwrap();
        assert_eq!(tail(log.path()), lines[50 - LOG_TAIL..].join("\n"));
        assert_eq!(tail(Path::new("no/such/log")), "");
    }

    #[test]
    fn stages_add_up() {
        let seconds = |stage: v1::Stage, seconds| v1::StageSeconds {
            stage: stage.into(),
            seconds,
        };
        let seconds = vec![
            seconds(v1::Stage::Extracted, 1.5),
            seconds(v1::Stage::Clustered, 0.25),
        ];
        let text = stages(&v1::Job {
            seconds,
            ..Default::default()
        })
        .to_string();
        assert!(
            text.contains("extracted") && text.contains("1.75"),
            "{text}"
        );
    }
}
