//! SIGKILL at seeded times, in the middle of whatever is being written, again and again on one folder.
//!
//! What a process said was done is there afterwards, whole; nothing that was not done shows; and
//! everything that is kept passes verification. `CURRICULUM_TEST_KILLS` sets the number of kills.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use curriculum::Sketch;
use curriculum_store::{
    ClusteringRecord, Column, Digest, Pack, SampleRecord, Store, SummaryRecord, VersionRecord,
};
use std::{
    io::{BufRead, BufReader, Write},
    iter,
    ops::ControlFlow,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

const CHILD: &str = "CURRICULUM_TEST_KILLED";
const KILLS: &str = "CURRICULUM_TEST_KILLS";
const SAMPLES: u64 = 5000;

fn digest(n: u64) -> Digest {
    Digest::of_parts([n.to_le_bytes().as_slice()])
}

fn pack(n: u64) -> Pack {
    Pack {
        digests: (n * 256..(n + 1) * 256).map(digest).collect(),
        features: vec![n as f32; 256],
        failures: Vec::new(),
    }
}

fn sample(n: u64) -> SampleRecord {
    SampleRecord {
        id: n.to_string(),
        digest: Some(digest(n)),
        ..SampleRecord::default()
    }
}

fn value(version: u64, n: u64) -> [u8; 4] {
    ((n.wrapping_mul(version) % 1000) as f32 / 1000.0).to_le_bytes()
}

fn version(n: u64) -> VersionRecord {
    let json = r#"{"clusters":{"fixed":1},"seed":0,"max_failed_fraction":0.0,"by_label":false,
        "min_cluster_size":1,"normalization":"none","score":"distance","schedule":{"initial":0.1,
        "warmup":1,"pacing":"linear","min_temperature":null,"max_temperature":null,"ceiling":0.9,
        "draws":1}}"#;
    VersionRecord {
        id: digest(n),
        content: digest(n),
        listing: digest(n),
        source: "s".to_owned(),
        model: "m".to_owned(),
        model_digest: digest(0),
        parameters: serde_json::from_str(json).unwrap(),
        created_at_ms: 0,
        summary: SummaryRecord {
            sample_count: SAMPLES,
            failed_count: 0,
            dimension: 1,
            inertia: 0.0,
            davies_bouldin: None,
            histogram: Vec::new(),
            clusters: Vec::new(),
            candidates: Vec::new(),
            warnings: Vec::new(),
            drift: None,
        },
    }
}

/// Writes version `n`, as the stages of a job do.
fn publish(store: &Store, n: u64) {
    let id = digest(n);
    let samples: Vec<_> = (0..SAMPLES).map(sample).collect();
    for (chunk, some) in (0..).zip(samples.chunks(4096)) {
        store.put_sample_chunk(id, chunk, some).unwrap();
    }
    let values = || (0..SAMPLES as usize).map(|i| value(n, i as u64));
    store.put_column(id, Column::Difficulty, values()).unwrap();
    store.put_column(id, Column::Distance, values()).unwrap();
    let cluster = (0..SAMPLES as usize).map(|_| [0; 4]);
    store.put_column(id, Column::Cluster, cluster).unwrap();
    store
        .put_column(id, Column::Centroids, [[0; 4]].into_iter())
        .unwrap();
    let clustering = ClusteringRecord {
        clusters: 1,
        dimension: 1,
        inertia: 0.0,
        davies_bouldin: None,
        candidates: Vec::new(),
        labels: Vec::new(),
        warnings: Vec::new(),
        basis: None,
        drift: None,
    };
    store.put_clustering(id, &clustering).unwrap();
    store.flush().unwrap();
    let difficulty: Vec<f32> = values().map(f32::from_le_bytes).collect();
    store
        .put_version(&version(n), &Sketch::new(&difficulty))
        .unwrap();
    store.flush().unwrap();
    store.point("c", id).unwrap();
    store.flush().unwrap();
}

/// The child: goes on where the folder stands, and says what is done.
fn write(folder: &Path) {
    let store = Store::open(folder).unwrap();
    let space = store.feature_space(digest(0), 1).unwrap();
    let mut next = space.packs().len() as u64;
    let published = store.curriculum("c").unwrap().unwrap_or_default();
    let known = |n: &u64| published.latest() == Some(digest(*n));
    let mut newest = (0..100_000).find(known).unwrap_or(0);
    say(&format!("open {next} {newest}"));
    loop {
        for _ in 0..8 {
            space.append(&pack(next)).unwrap();
            next += 1;
            say(&format!("packs {next}"));
        }
        newest += 1;
        publish(&store, newest);
        say(&format!("versions {newest}"));
        store.apply_retention("c", 3).unwrap();
    }
}

fn say(line: &str) {
    // The test harness may have begun a line.
    println!("\n{line}");
    std::io::stdout().flush().unwrap();
}

/// What a child had said when it was killed, so long after it began to write: packs and versions that were
/// done.
fn killed_after(mut child: Child, time: Duration) -> (u64, u64) {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let open = lines.find(|line| line.starts_with("open ")).unwrap();
    thread::sleep(time);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut said = (0, 0);
    for line in iter::once(open).chain(lines) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse().unwrap();
        match words[0] {
            "open" => said = (number(1), number(2)),
            "packs" => said.0 = number(1),
            "versions" => said.1 = number(1),
            _ => {}
        }
    }
    said
}

/// Everything that was done is there and whole, and nothing is damaged.
fn check(folder: &Path, said: (u64, u64)) {
    let store = Store::open(folder).unwrap();
    let space = store.feature_space(digest(0), 1).unwrap();
    let packs = space.packs().len() as u64;
    // One more may be done than the child had time to say.
    assert!(
        (said.0..=said.0 + 1).contains(&packs),
        "{packs} packs of {said:?}"
    );
    for n in (0..packs).rev().take(300) {
        let found = space.find(&pack(n).digests).unwrap();
        for (row, found) in (0..).zip(found) {
            let found = found.unwrap();
            assert_eq!((found.pack, found.row), (n, row));
        }
        assert_eq!(space.read(n).unwrap(), Some(pack(n)));
    }
    assert!(
        space
            .find(&pack(packs).digests)
            .unwrap()
            .iter()
            .all(Option::is_none)
    );
    let versions = store.curriculum("c").unwrap().unwrap_or_default().versions;
    if let Some(newest) = versions.first() {
        let n = (0..=said.1 + 1).find(|n| digest(*n) == *newest).unwrap();
        assert!(n >= said.1, "version {n} of {said:?}");
        let difficulty = store.column(*newest, Column::Difficulty, SAMPLES).unwrap();
        let expected: Vec<_> = (0..SAMPLES).map(|i| value(n, i)).collect();
        assert_eq!(difficulty, expected);
    }
    let found = store.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(found.damaged, []);
    let mut left = String::new();
    for entry in std::fs::read_dir(folder.join("columns"))
        .into_iter()
        .flatten()
    {
        left.push_str(entry.unwrap().file_name().to_str().unwrap());
    }
    assert!(!left.contains("unfinished"), "{left}");
}

#[test]
fn whatever_is_killed_whatever_was_done_is_there() {
    if let Ok(folder) = std::env::var(CHILD) {
        write(Path::new(&folder));
        return;
    }
    let kills = std::env::var(KILLS).map_or(5, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut seed = 0x5eed_u64;
    let mut progress = (0, 0);
    for _ in 0..kills {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "whatever_is_killed_whatever_was_done_is_there",
                "--nocapture",
            ])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let said = killed_after(child, Duration::from_millis(50 + (seed >> 33) % 1200));
        check(folder.path(), said);
        progress = said;
    }
    assert!(
        progress.0 > 0 && progress.1 > 0,
        "nothing was done between the kills: {progress:?}"
    );
}
