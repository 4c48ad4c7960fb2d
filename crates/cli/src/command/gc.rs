//! `curriculum gc`

use super::verify::{counted, counted_json, open};
use crate::{
    exit::{Damaged, Interrupted},
    table::{grouped, print},
    work::interruptible,
};
use curriculum_store::{Counted, Garbage, StoreError};
use serde_json::json;
use std::path::PathBuf;

/// Remove from a data folder what no version and no job needs; no server may be using it.
///
/// Exit code 3: something that tells what is needed is damaged, and nothing was removed.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "DATA_DIR")]
    folder: PathBuf,
    /// Only tell what would be removed.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    interruptible(move |mut watch| {
        let store = open(&args.folder)?;
        let mut proceed = || watch.report("gc", "looking for garbage", 0, 0);
        let found = store.collect_garbage(args.dry_run, &mut proceed);
        watch.finish();
        let found = found.map_err(|error| match error {
            StoreError::Corrupt { .. } => anyhow::Error::from(Damaged(format!(
                "{error}; nothing was removed, see `curriculum verify`"
            ))),
            other => other.into(),
        })?;
        match args.json {
            true => print(json!({
                "dry_run": args.dry_run,
                "complete": found.complete,
                "bytes": found.bytes(),
                "removed": counted_json(&counts(&found)),
            })),
            false => show(&found, args.dry_run),
        }
        match found.complete {
            true => Ok(()),
            false => Err(Interrupted.into()),
        }
    })
    .await
}

fn counts(found: &Garbage) -> [(&'static str, Counted); 7] {
    [
        ("versions", found.versions),
        ("columns", found.columns),
        ("sample_chunks", found.sample_chunks),
        ("packs", found.packs),
        ("index_entries", found.index_entries),
        ("pushes", found.pushes),
        ("job_errors", found.job_errors),
    ]
}

fn show(found: &Garbage, dry_run: bool) {
    print(counted(&counts(found)));
    let verb = if dry_run { "would free" } else { "freed" };
    print(format_args!("{verb} {} bytes", grouped(found.bytes())));
}
