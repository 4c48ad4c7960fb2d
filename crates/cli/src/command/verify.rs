//! `curriculum verify`

use crate::{
    exit::{BadInput, Damaged, Interrupted},
    table::{grouped, number, print, table},
    work::interruptible,
};
use curriculum_store::{Counted, Store, StoreError, StoreOptions, Verification};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Read everything in a data folder and tell what is damaged; no server may be using it.
///
/// Exit code 0: all is sound; 3: something is damaged.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "DATA_DIR")]
    folder: PathBuf,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    interruptible(move |mut watch| {
        let store = open(&args.folder)?;
        let found = store.verify(&mut |progress| {
            watch.report("verify", progress.activity, progress.bytes >> 20, 0)
        });
        watch.finish();
        let found = found.map_err(refused)?;
        match args.json {
            true => print(as_json(&found)),
            false => show(&found),
        }
        match (found.complete, found.damaged_count) {
            (false, _) => Err(Interrupted.into()),
            (true, 0) => Ok(()),
            (true, count) => Err(Damaged(format!("{count} values are damaged")).into()),
        }
    })
    .await
}

/// A folder that is there, for a command that works without a server.
///
/// # Errors
/// [`BadInput`] when it is no data folder, or a server uses it.
pub(super) fn open(folder: &Path) -> anyhow::Result<Store> {
    Store::open_existing(folder, StoreOptions::default()).map_err(refused)
}

/// An error of such a command.
pub(super) fn refused(error: StoreError) -> anyhow::Error {
    match error {
        StoreError::InUse { .. } | StoreError::Schema { .. } | StoreError::NotFound(_) => {
            BadInput(error.to_string()).into()
        }
        StoreError::Corrupt { .. } => Damaged(error.to_string()).into(),
        other => other.into(),
    }
}

fn counts(found: &Verification) -> [(&'static str, Counted); 9] {
    [
        ("jobs", found.jobs),
        ("job_errors", found.job_errors),
        ("curricula", found.curricula),
        ("versions", found.versions),
        ("columns", found.columns),
        ("sample_chunks", found.sample_chunks),
        ("packs", found.packs),
        ("index_entries", found.index_entries),
        ("pushes", found.pushes),
    ]
}

fn show(found: &Verification) {
    print(counted(&counts(found)));
    if found.damaged_count > 0 {
        let mut damaged = table(["damaged", "how that was noticed"]);
        for damage in &found.damaged {
            damaged.add_row([damage.what.as_str(), damage.reason.as_str()]);
        }
        print(damaged);
    }
}

/// A table of numbers and bytes.
pub(super) fn counted(counts: &[(&str, Counted)]) -> comfy_table::Table {
    let mut table = table(["", "number", "bytes"]);
    for (name, counted) in counts {
        table.add_row([
            name.replace('_', " ").into(),
            number(grouped(counted.count)),
            number(grouped(counted.bytes)),
        ]);
    }
    table
}

/// The same as an object.
pub(super) fn counted_json(counts: &[(&str, Counted)]) -> serde_json::Value {
    let object = counts.iter().map(|(name, counted)| {
        let value = json!({"count": counted.count, "bytes": counted.bytes});
        ((*name).to_owned(), value)
    });
    serde_json::Value::Object(object.collect())
}

fn as_json(found: &Verification) -> serde_json::Value {
    let damaged = found.damaged.iter();
    let damaged = damaged.map(|d| json!({"what": d.what, "reason": d.reason}));
    json!({
        "complete": found.complete,
        "checked": counted_json(&counts(found)),
        "damaged_count": found.damaged_count,
        "damaged": damaged.collect::<Vec<_>>(),
    })
}
