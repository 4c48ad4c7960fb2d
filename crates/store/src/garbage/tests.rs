//! What is needed stays, the rest goes, and a dry run tells which.

use super::*;
use crate::{Column, Pack, SampleRecord, StoreError, store::temporary, version::tests};

fn digest(n: u8) -> Digest {
    Digest::from([n; 32])
}

fn sample(n: u64) -> Digest {
    Digest::of_parts([n.to_le_bytes().as_slice()])
}

fn put_samples(store: &Store, listing: u8, samples: impl Iterator<Item = u64>) {
    let samples: Vec<_> = samples
        .map(|n| SampleRecord {
            id: format!("s{n}"),
            digest: Some(sample(n)),
            ..SampleRecord::default()
        })
        .collect();
    store
        .put_sample_chunk(digest(listing), 0, &samples)
        .unwrap();
}

/// A pack of these samples, in the space of `model`.
fn put_pack(store: &Store, model: u8, samples: std::ops::Range<u64>) {
    let rows = samples.clone().count();
    let pack = Pack {
        digests: samples.map(sample).collect(),
        features: vec![0.5; rows * 2],
        failures: Vec::new(),
    };
    let space = store.feature_space(digest(model), 2).unwrap();
    space.append(&pack).unwrap();
}

fn put_job(store: &Store, n: u8, state: JobState) {
    let mut job = crate::job::tests::job(u64::from(n));
    job.id = digest(n);
    job.state = state;
    job.version = Some(digest(n));
    job.extends = None;
    (job.listing, job.model_digest, job.dimension) = (digest(n), digest(n), 2);
    store.put_job(&job).unwrap();
    store.put_job_error(digest(n), 0, "why").unwrap();
}

fn failed() -> JobState {
    JobState::Failed {
        stage: crate::Stage::Clustered,
        reason: "why".to_owned(),
    }
}

/// 1: published; 2: a failed job, with columns; 3: a cancelled job; 4: a version that nobody names;
/// 5: nobody's samples and features. Packs of model 1: one needed, one not, and several in a run.
fn filled() -> (Store, tempfile::TempDir) {
    let (store, folder) = temporary();
    for n in 1..=5u8 {
        put_samples(&store, n, (0..5).map(|s| s + u64::from(n) * 1_000_000));
        put_pack(
            &store,
            n,
            u64::from(n) * 1_000_000..u64::from(n) * 1_000_000 + 5,
        );
    }
    for other in 0..4 {
        put_pack(&store, 1, other * 256..(other + 1) * 256);
    }
    for n in [1, 4] {
        tests::put_version(&store, digest(n));
    }
    store.point("c", digest(1)).unwrap();
    put_job(&store, 2, failed());
    put_job(&store, 3, JobState::Cancelled);
    for n in [2, 3] {
        let values = (0..5u32).map(u32::to_le_bytes);
        store
            .put_column(digest(n), Column::Cluster, values)
            .unwrap();
    }
    store
        .put_job_error(digest(9), 0, "of a job that is gone")
        .unwrap();
    (store, folder)
}

fn collect(store: &Store, dry_run: bool) -> Garbage {
    let garbage = store.collect_garbage(dry_run, &mut || ControlFlow::Continue(()));
    garbage.unwrap()
}

fn verify(store: &Store) -> crate::Verification {
    store.verify(&mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_dry_run_tells_what_the_next_one_removes() {
    let (store, folder) = filled();
    let before = verify(&store);
    let told = collect(&store, true);
    assert_eq!(verify(&store), before);
    assert_eq!(collect(&store, false), told);
    let count = |part: Counted| part.count;
    // Version 4; its columns and one of job 3; samples and features of 3, 4 and 5; four more packs.
    assert_eq!(count(told.versions), 1);
    assert_eq!(count(told.columns), 4 + 1);
    assert_eq!(count(told.sample_chunks), 3);
    assert_eq!(count(told.packs), 3 + 4);
    assert_eq!(count(told.job_errors), 1);
    // The run has five packs; that of samples 1,000,000 is needed.
    assert_eq!(count(told.index_entries), 4 * 256);
    assert!(told.complete && told.bytes() > 5000);
    let none = Garbage {
        complete: true,
        ..Garbage::default()
    };
    assert_eq!(collect(&store, false), none);
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(collect(&store, false), none);
}

#[test]
fn what_is_needed_stays_as_it_was() {
    let (store, folder) = filled();
    collect(&store, false);
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    for n in [1, 2] {
        let space = store.feature_space(digest(n), 2).unwrap();
        let first = u64::from(n) * 1_000_000;
        let digests: Vec<_> = (first..first + 5).map(sample).collect();
        let found = space.find(&digests).unwrap();
        assert!(found.iter().all(Option::is_some));
        let pack = space.read(found[0].unwrap().pack).unwrap();
        assert_eq!(pack.unwrap().digests, digests);
        assert_eq!(store.some_samples(digest(n), 0..5).unwrap().len(), 5);
        assert!(store.column(digest(n), Column::Cluster, 5).is_ok());
    }
    let space = store.feature_space(digest(1), 2).unwrap();
    assert_eq!(space.find(&[sample(3)]).unwrap(), [None]);
    assert!(store.version(digest(1)).unwrap().is_some());
    assert!(store.version(digest(4)).unwrap().is_none());
    assert_eq!(store.jobs().unwrap().0.len(), 2);
    assert_eq!(verify(&store).damaged, []);
}

#[test]
fn nothing_goes_while_a_record_or_sample_is_damaged() {
    let flip = |tree: &sled::Tree| {
        let (key, value) = tree.iter().next().unwrap().unwrap();
        let mut value = value.to_vec();
        *value.last_mut().unwrap() ^= 1;
        tree.insert(key, value).unwrap();
    };
    let cases: [&dyn Fn(&Store); 4] = [
        &|store| flip(&store.jobs),
        &|store| flip(&store.curricula),
        &|store| flip(&store.versions),
        &|store| {
            let path = store.sample_folder(digest(1)).join("00000000");
            std::fs::write(path, "damaged").unwrap();
        },
    ];
    for (number, damage) in cases.into_iter().enumerate() {
        let (store, _folder) = filled();
        damage(&store);
        let before = verify(&store);
        let refused = store.collect_garbage(false, &mut || ControlFlow::Continue(()));
        assert!(
            matches!(refused, Err(StoreError::Corrupt { .. })),
            "{number}"
        );
        assert_eq!(verify(&store), before, "{number}");
    }
}

#[test]
fn it_can_be_broken_off_before_anything_is_gone() {
    let (store, _folder) = filled();
    let before = verify(&store);
    let mut calls = 0;
    let garbage = store.collect_garbage(true, &mut || {
        calls += 1;
        ControlFlow::Break(())
    });
    assert!(!garbage.unwrap().complete && calls == 1);
    assert_eq!(verify(&store), before);
}

#[test]
fn a_push_goes_when_nothing_came_from_it_and_nobody_touches_it() {
    let (store, folder) = filled();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 60 * 60);
    let pushed = folder.path().join("pushed");
    let push = |name: &str, modified| {
        std::fs::create_dir_all(pushed.join(name)).unwrap();
        let file = std::fs::File::create(pushed.join(name).join("samples.bin")).unwrap();
        std::io::Write::write_all(&mut &file, &[7; 100]).unwrap();
        file.set_modified(modified).unwrap();
    };
    for name in ["by-name", "by-path", "abandoned", "by-name2"] {
        push(name, old);
    }
    push("recent", std::time::SystemTime::now());
    let by_path = pushed.join("by-path").join("manifest.jsonl");
    for (n, source) in [(6, "pushed:by-name"), (7, by_path.to_str().unwrap())] {
        let mut job = crate::job::tests::job(n);
        (job.id, job.state, job.source) = (digest(n as u8), failed(), source.to_owned());
        (job.version, job.extends) = (None, None);
        store.put_job(&job).unwrap();
    }
    for dry_run in [true, false] {
        let found = collect(&store, dry_run).pushes;
        assert_eq!((found.count, found.bytes), (2, 200));
    }
    let mut left: Vec<_> = files::names(&pushed).unwrap().map(Result::unwrap).collect();
    left.sort();
    assert_eq!(left, ["by-name", "by-path", "recent"]);
}
