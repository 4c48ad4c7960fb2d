//! `curriculum serve` as a child process.

use crate::{PATIENCE, command, http};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    io::{BufRead, Write},
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
    sync::oneshot,
    time::timeout,
};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Error};

/// What the server prints once it accepts calls, followed by its address.
const READY: &str = "listening on ";

/// What it prints next, followed by where its metrics are.
const METRICS: &str = "metrics on ";

/// What it logs once its ports are bound, followed by the addresses.
const BOUND: &str = "bound grpc=";

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
    /// What its own channel connects with, if its settings ask for encryption.
    pub tls: Option<&'a ClientTlsConfig>,
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

/// A server whose ports are bound, and which may not be open yet.
#[derive(Debug)]
pub struct Starting {
    /// Of its gRPC port.
    pub url: String,
    /// Of its side port, without a path.
    pub side: String,
    child: Child,
    log: PathBuf,
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

    /// What its servers log, to write on.
    fn log(&self) -> File {
        let log = self.path("log");
        File::options().create(true).append(true).open(log).unwrap()
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
            tls: None,
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
        let child = launch.spawn(home, home.log().into());
        Self::of(child, home.path("log"), launch.tls).await
    }

    async fn of(mut child: Child, log: PathBuf, tls: Option<&ClientTlsConfig>) -> Self {
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
        Self {
            url: url.to_owned(),
            metrics: metrics.to_owned(),
            channel: connect(url, tls).await.unwrap(),
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

    /// Where its side port answers `path`.
    #[must_use]
    pub fn side_url(&self, path: &str) -> String {
        let side = self.metrics.strip_suffix("/metrics").unwrap();
        format!("{side}{path}")
    }

    /// A counter or gauge as it is now, by its name and labels as they are printed.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn metric(&self, series: &str) -> f64 {
        let body = http::get(&self.side_url("/metrics")).body;
        let line = body
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = line.unwrap_or_else(|| panic!("no {series}: {body}"));
        value.parse().unwrap()
    }

    /// A connection, for any client.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Another connection.
    ///
    /// # Errors
    /// When none comes about.
    pub async fn connect(&self, tls: Option<&ClientTlsConfig>) -> Result<Channel, Error> {
        connect(&self.url, tls).await
    }

    /// Bytes of memory that it has now.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most bytes of memory that it has had.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, entry: &str) -> u64 {
        let id = self.child.id().expect("the server has ended");
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with(entry));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() << 10
    }

    /// SIGKILL: no chance to finish anything. Returns when the process is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&self) {
        terminate(&self.child);
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

impl Launch<'_> {
    fn spawn(self, home: &Home, stderr: Stdio) -> Child {
        let settings = home.path("settings.toml");
        fs::write(&settings, self.settings).unwrap();
        let mut command = command::base();
        command
            .current_dir(&home.0)
            .args(["serve", "--grpc-addr", "127.0.0.1:0"])
            .args(["--http-addr", "127.0.0.1:0", "--data-dir"])
            .arg(home.data())
            .arg("--config")
            .arg(settings)
            // Nobody sends calls here who would have to hear of the end first.
            .env("CURRICULUM__GRPC__DRAIN_DELAY_SECONDS", "0")
            .envs(self.variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(stderr);
        command.spawn().unwrap()
    }
}

impl Starting {
    /// Starts a server and waits until its ports are bound.
    ///
    /// # Panics
    /// When it ends before.
    pub async fn launch(home: &Home, launch: Launch<'_>) -> Self {
        let mut child = launch.spawn(home, Stdio::piped());
        let stderr = child.stderr.take().unwrap().into_owned_fd().unwrap();
        let (bound, addresses) = oneshot::channel();
        let mut log = home.log();
        // A thread, so that the server can write whatever the test is doing.
        thread::spawn(move || {
            let mut bound = Some(bound);
            for line in std::io::BufReader::new(File::from(stderr)).lines() {
                let line = line.unwrap();
                writeln!(log, "{line}").unwrap();
                if let Some((_, addresses)) = line.split_once(BOUND)
                    && let Some(bound) = bound.take()
                {
                    let _ = bound.send(addresses.to_owned());
                }
            }
        });
        let addresses = timeout(PATIENCE, addresses).await.expect("not bound");
        let addresses = addresses.expect("it ended before its ports were bound");
        let (grpc, http) = addresses.split_once(" http=").unwrap();
        Self {
            url: format!("http://{grpc}"),
            side: format!("http://{http}"),
            child,
            log: home.path("log"),
        }
    }

    /// A connection, for any client.
    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.url.clone()).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// SIGTERM, and how it ended.
    pub async fn terminated(mut self) -> ExitStatus {
        terminate(&self.child);
        let status = timeout(PATIENCE, self.child.wait()).await;
        status.expect("the server does not end").unwrap()
    }

    /// Waits until it accepts calls.
    pub async fn ready(self) -> TestServer {
        TestServer::of(self.child, self.log, None).await
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- log of {}:\n{}---", self.url, self.log());
        }
    }
}

fn terminate(child: &Child) {
    let id = child.id().expect("the server has ended");
    signal::kill(Pid::from_raw(id.try_into().unwrap()), Signal::SIGTERM).unwrap();
}

async fn connect(url: &str, tls: Option<&ClientTlsConfig>) -> Result<Channel, Error> {
    let mut endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
    if let Some(tls) = tls {
        endpoint = endpoint.tls_config(tls.clone())?;
    }
    endpoint.connect().await
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
