//! How an extended version's new samples lie.

use crate::table::{self, grouped, number};
use curriculum_proto::v1;
use serde_json::json;

/// How far new samples lie from those of the version that was extended.
pub(super) fn table(drift: &v1::Drift) -> String {
    let mut table = table::table([
        "cluster",
        "new",
        "beyond",
        "share",
        "99 % of the old within",
    ]);
    for (i, cluster) in drift.clusters.iter().enumerate() {
        let limit = cluster.threshold.map(|limit| format!("{limit:.3}"));
        table.add_row([
            number(i + 1),
            number(grouped(cluster.added)),
            number(grouped(cluster.beyond)),
            number(share(cluster.beyond, cluster.added)),
            number(limit.unwrap_or_else(|| "-".to_owned())),
        ]);
    }
    format!(
        "drift: extends version {}\n{} samples kept, {} new, of which {} lie beyond 99 % of the old\n{table}",
        drift.base,
        grouped(drift.kept),
        grouped(drift.added),
        share(drift.beyond, drift.added),
    )
}

fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".to_owned(),
        whole => format!("{:.1} %", 100.0 * part as f64 / whole as f64),
    }
}

pub(super) fn as_json(drift: &v1::Drift) -> serde_json::Value {
    let cluster = |c: &v1::ClusterDrift| json!({"threshold": c.threshold, "added": c.added, "beyond": c.beyond});
    json!({
        "extends": drift.base,
        "kept": drift.kept,
        "added": drift.added,
        "beyond": drift.beyond,
        "clusters": drift.clusters.iter().map(cluster).collect::<Vec<_>>(),
    })
}
