//! `curriculum serve` as a child process.

use crate::{PATIENCE, command};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    thread,
    time::SystemTime,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout},
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};

/// What the server prints once it accepts calls, followed by its address.
const READY: &str = "listening on ";

/// What it prints next, followed by where its metrics are.
const METRICS: &str = "metrics on ";

/// A temporary folder that outlives the servers started in it: data folder, settings and logs.
#[derive(Debug)]
pub struct Home(TempDir);

/// A feature chunk file; one that is written again is another file, even with the same content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeatureFile {
    /// Where it is.
    pub path: PathBuf,
    inode: u64,
    modified: SystemTime,
}

/// How a server is started.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The settings file. One model thread by default: tests share the cores.
    pub settings: &'a str,
    /// Environment variables.
    pub variables: &'a [(&'a str, &'a str)],
}

/// A running server. Dropping it kills it, and prints its log if the test is failing.
#[derive(Debug)]
pub struct TestServer {
    child: Child,
    /// Kept open: writing to a closed pipe would end the server.
    _stdout: BufReader<ChildStdout>,
    log: PathBuf,
    url: String,
    metrics: String,
    channel: Channel,
}

impl Home {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// An empty one inside `folder`.
    #[must_use]
    pub fn within(folder: &Path) -> Self {
        Self(tempfile::tempdir_in(folder).unwrap())
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The data folder of its servers.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Finished feature chunk files, by path.
    #[must_use]
    pub fn feature_chunks(&self) -> Vec<FeatureFile> {
        let folders = entries(&self.data().join("features"));
        let files = folders.iter().flat_map(|folder| entries(folder));
        let finished = files.filter(|path| path.extension().is_some_and(|e| e == "features"));
        let mut chunks: Vec<_> = finished.map(FeatureFile::of).collect();
        chunks.sort();
        chunks
    }
}

impl FeatureFile {
    fn of(path: PathBuf) -> Self {
        let metadata = fs::metadata(&path).unwrap();
        Self {
            inode: metadata.ino(),
            modified: metadata.modified().unwrap(),
            path,
        }
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Launch<'_> {
    fn default() -> Self {
        Self {
            settings: "[model]\nthreads = 1\n",
            variables: &[],
        }
    }
}

impl TestServer {
    /// Starts a server with the usual settings and waits until it accepts calls.
    pub async fn start(home: &Home) -> Self {
        Self::launch(home, Launch::default()).await
    }

    /// Starts a server and waits until it accepts calls.
    ///
    /// # Panics
    /// When it does not; its log is part of the message.
    pub async fn launch(home: &Home, launch: Launch<'_>) -> Self {
        let (settings, log) = (home.path("settings.toml"), home.path("log"));
        fs::write(&settings, launch.settings).unwrap();
        let mut command = command::base();
        command
            .current_dir(&home.0)
            .args(["serve", "--grpc-addr", "127.0.0.1:0"])
            .args(["--http-addr", "127.0.0.1:0", "--data-dir"])
            .arg(home.data())
            .arg("--config")
            .arg(settings)
            .envs(launch.variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(
                File::options()
                    .create(true)
                    .append(true)
                    .open(&log)
                    .unwrap(),
            );
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let read = timeout(PATIENCE, stdout.read_line(&mut line)).await;
        let Some(url) = line.trim_end().strip_prefix(READY) else {
            panic!(
                "not ready ({read:?}), printed `{line}`, logged:\n{}",
                text(&log)
            );
        };
        let mut metrics = String::new();
        let read = timeout(PATIENCE, stdout.read_line(&mut metrics)).await;
        let Some(metrics) = metrics.trim_end().strip_prefix(METRICS) else {
            panic!("no metrics ({read:?}), printed `{metrics}`");
        };
        let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
        Self {
            url: url.to_owned(),
            metrics: metrics.to_owned(),
            channel: endpoint.connect().await.unwrap(),
            child,
            _stdout: stdout,
            log,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its metrics are.
    #[must_use]
    pub fn metrics_url(&self) -> &str {
        &self.metrics
    }

    /// A connection, for any client.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// SIGKILL: no chance to finish anything. Returns when the process is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&self) {
        let id = self.child.id().expect("the server has ended");
        signal::kill(Pid::from_raw(id.try_into().unwrap()), Signal::SIGTERM).unwrap();
    }

    /// Waits for the process to end.
    pub async fn exited(mut self) -> ExitStatus {
        let status = timeout(PATIENCE, self.child.wait()).await;
        status.expect("the server does not end").unwrap()
    }

    /// What it, and servers before it in the same home, logged.
    #[must_use]
    pub fn log(&self) -> String {
        text(&self.log)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- log of {}:\n{}---", self.url, self.log());
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
