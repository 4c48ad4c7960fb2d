//! One run of the binary.

use crate::{PATIENCE, binary};
use serde_json::Value;
use std::{env, ffi::OsStr, path::Path, process::Stdio};
use tokio::{process::Command, time::timeout};

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Standard output as one JSON value.
    ///
    /// # Panics
    /// When the run failed or printed anything else.
    #[must_use]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Sees to it that the run was refused as bad input, with `text` in the reason.
    ///
    /// # Panics
    /// When it was not.
    pub fn refused(&self, text: &str) {
        assert_eq!(self.code, Some(2), "{text}: {self:?}");
        assert!(self.stderr.contains(text), "{text}: {self:?}");
        assert!(self.stdout.is_empty(), "{text}: {self:?}");
    }
}

/// Runs `curriculum` with `arguments` and waits for its end.
pub async fn curriculum<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Outcome {
    run(base().args(arguments)).await
}

/// Runs `curriculum submit` for a version of `c`, as JSON, with more `flags`.
pub async fn submit(url: &str, source: &Path, clusters: u32, flags: &[&str]) -> Outcome {
    let (source, clusters) = (source.display().to_string(), clusters.to_string());
    let mut command = base();
    command.args(["submit", &source, "--name", "c", "--clusters", &clusters]);
    run(command.args(["--json", "--server", url]).args(flags)).await
}

/// As [`curriculum`], inside `folder` and with environment variables.
pub async fn curriculum_in<A: AsRef<OsStr>>(
    folder: &Path,
    variables: &[(&str, &str)],
    arguments: impl IntoIterator<Item = A>,
) -> Outcome {
    let mut command = base();
    command.current_dir(folder).envs(variables.iter().copied());
    run(command.args(arguments)).await
}

/// The binary, without settings that come from the environment of whoever runs the tests.
pub(crate) fn base() -> Command {
    let mut command = Command::new(binary::path());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CURRICULUM__") || text.starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(command: &mut Command) -> Outcome {
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.expect("the command hangs").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Outcome {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
