//! The `curriculum` binary: parse, run one command, map the outcome to an exit code.
//!
//! | module | holds |
//! |---|---|
//! | `command` | one file per subcommand: its arguments and its `run` |
//! | `client`, `backoff` | connecting to a server, and again after it was away |
//! | `parameters` | the flags of the method, shared by the commands that take them |
//! | `fit` | the method on a file, without a server |
//! | `weights` | one iteration's weights, from a server's stream or a file |
//! | `export` | difficulties as a table, to Parquet or NumPy |
//! | `arrays` | NumPy's files, read and written |
//! | `push` | samples of this machine, sent to a server |
//! | `watch` | a job on the server, followed to its end |
//! | `progress` | bars and lines |
//! | `table` | tables, bars and numbers |
//! | `telemetry` | logs and spans of a server |
//! | `report` | the HTML report |
//! | `github` | results as GitHub Actions takes them |
//! | `exit` | exit codes |

mod arrays;
mod backoff;
mod client;
mod command;
mod exit;
mod export;
mod extraction;
mod fit;
mod github;
mod parameters;
mod progress;
mod push;
mod report;
mod table;
mod telemetry;
mod watch;
mod weights;
mod work;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Tells distributed trainers which samples to learn from, and when.
#[derive(Parser)]
#[command(version, about, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(command::serve::Args),
    CheckConfig(command::check_config::Args),
    Submit(command::submit::Args),
    Push(command::push::Args),
    Jobs(command::jobs::Args),
    Extract(command::extract::Args),
    Fit(command::fit::Args),
    Weights(command::weights::Args),
    Sample(command::sample::Args),
    Inspect(command::inspect::Args),
    Versions(command::versions::Args),
    Promote(command::promote::Args),
    Rollback(command::rollback::Args),
    Export(command::export::Args),
    Import(command::import::Args),
    Verify(command::verify::Args),
    Gc(command::gc::Args),
    Models(command::models::Args),
    Demo(command::demo::Args),
}

/// How many tasks a busy worker runs before it looks for news from sockets and clocks. Where each task makes a chunk of
/// weights, on one core, 99 % of refusals came within 49 to 54 ms with Tokio's 61, and within 32 to 34 with these.
const TASKS_BETWEEN_EVENTS: u32 = 16;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(TASKS_BETWEEN_EVENTS)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&error.into()),
    };
    let code = runtime.block_on(run(command));
    // Work that outlived its time to drain must not hold the process.
    runtime.shutdown_background();
    code
}

async fn run(command: Command) -> ExitCode {
    let outcome = match command {
        Command::Serve(args) => command::serve::run(args).await,
        Command::CheckConfig(args) => command::check_config::run(&args),
        Command::Submit(args) => command::submit::run(args).await,
        Command::Push(args) => command::push::run(args).await,
        Command::Versions(args) => command::versions::run(args).await,
        Command::Promote(args) => command::promote::run(args).await,
        Command::Rollback(args) => command::rollback::run(args).await,
        Command::Import(args) => command::import::run(args).await,
        Command::Verify(args) => command::verify::run(args).await,
        Command::Gc(args) => command::gc::run(args).await,
        Command::Jobs(args) => command::jobs::run(args).await,
        Command::Extract(args) => command::extract::run(args).await,
        Command::Fit(args) => command::fit::run(args).await,
        Command::Weights(args) => command::weights::run(args).await,
        Command::Sample(args) => command::sample::run(args).await,
        Command::Export(args) => command::export::run(args).await,
        Command::Inspect(args) => command::inspect::run(args).await,
        Command::Models(args) => command::models::run(args).await,
        Command::Demo(args) => command::demo::run(args).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
