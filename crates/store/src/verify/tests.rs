//! A whole folder has no damage; whatever is flipped, cut or taken away is found.

use super::*;
use crate::{
    Column, Pack, SampleRecord,
    store::temporary,
    version::tests::{SAMPLES, put_version},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn digest(n: u8) -> Digest {
    Digest::from([n; 32])
}

/// One of everything.
fn filled() -> (Store, tempfile::TempDir) {
    let (store, folder) = temporary();
    let samples: Vec<_> = (0..SAMPLES as u8)
        .map(|n| SampleRecord {
            id: format!("s{n}"),
            digest: Some(digest(n)),
            ..SampleRecord::default()
        })
        .collect();
    store.put_sample_chunk(digest(1), 0, &samples).unwrap();
    put_version(&store, digest(1));
    store.point("c", digest(1)).unwrap();
    store.promote("c", "prod", digest(1)).unwrap();
    let job = crate::job::tests::job(1);
    store.put_job(&job).unwrap();
    store.put_job_error(job.id, 3, "why").unwrap();
    let space = store.feature_space(digest(1), 2).unwrap();
    for pack in 0..5u8 {
        let rows = (0..=255).map(|row| Digest::of_parts([[pack, row].as_slice()]));
        let pack = Pack {
            digests: rows.collect(),
            features: vec![0.5; 512],
            failures: Vec::new(),
        };
        space.append(&pack).unwrap();
    }
    space.forget_samples(&[digest(3)]).unwrap();
    store.flush().unwrap();
    (store, folder)
}

fn verify(store: &Store) -> Verification {
    store.verify(&mut |_| ControlFlow::Continue(())).unwrap()
}

fn data_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            found.push(path);
        } else if !path.ends_with("db") {
            found.extend(data_files(&path));
        }
    }
    found.retain(|path| !path.ends_with("LOCK") && !path.ends_with("SCHEMA"));
    found
}

#[test]
fn a_whole_folder_is_counted_and_has_no_damage() {
    let (store, _folder) = filled();
    let found = verify(&store);
    assert_eq!(found.damaged, []);
    assert!(found.complete);
    let parts = [
        found.jobs,
        found.job_errors,
        found.curricula,
        found.versions,
        found.columns,
        found.sample_chunks,
        found.packs,
        found.index_entries,
    ];
    let counts = parts.map(|part| part.count);
    assert_eq!(counts, [1, 1, 1, 1, 4, 1, 6, 1024]);
    assert!(parts.iter().all(|part| part.bytes > part.count));
}

#[test]
fn a_flipped_bit_of_any_file_is_found() {
    let (store, folder) = filled();
    let files = data_files(folder.path());
    // Four columns, samples, six packs, a run and the count of flushes.
    assert_eq!(files.len(), 13);
    for path in files {
        let whole = fs::read(&path).unwrap();
        let step = (whole.len() / 40).max(1);
        for at in (0..whole.len()).step_by(step) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(&path, damaged).unwrap();
            assert!(verify(&store).damaged_count > 0, "{path:?} byte {at}");
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(verify(&store).damaged_count > 0, "{path:?} cut");
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(verify(&store).damaged, []);
}

#[test]
fn a_flipped_bit_of_any_record_is_found() {
    let (store, _folder) = filled();
    let trees = [
        &store.jobs,
        &store.job_errors,
        &store.versions,
        &store.curricula,
        &store.sketches,
        &store.clusterings,
    ];
    for (number, tree) in trees.into_iter().enumerate() {
        let (key, whole) = tree.iter().next().unwrap().unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.to_vec();
            damaged[at] ^= 1 << (at % 8);
            tree.insert(&key, damaged).unwrap();
            assert!(verify(&store).damaged_count > 0, "tree {number} byte {at}");
        }
        tree.insert(&key, whole).unwrap();
    }
    assert_eq!(verify(&store).damaged, []);
}

#[test]
fn a_reference_that_leads_nowhere_is_found() {
    let missing = |take: &dyn Fn(&Store)| {
        let (store, _folder) = filled();
        take(&store);
        let found = verify(&store);
        assert!(found.complete);
        found.damaged_count
    };
    let file = |parts: &'static [&str]| {
        move |store: &Store| {
            let name = digest(1).to_string();
            let path = store.root().join(parts[0]).join(name).join(parts[1]);
            fs::remove_file(path).unwrap();
        }
    };
    let tree = |pick: fn(&Store) -> &sled::Tree| {
        move |store: &Store| drop(pick(store).remove(digest(1).as_bytes()).unwrap().unwrap())
    };
    for column in Column::ALL {
        let take = |store: &Store| {
            let path = store.column_folder(digest(1)).join(column.name());
            fs::remove_file(path).unwrap();
        };
        assert!(missing(&take) > 0, "{column:?}");
    }
    assert!(missing(&file(&["samples", "00000000"])) > 0);
    assert!(missing(&tree(|store| &store.sketches)) > 0);
    assert!(missing(&tree(|store| &store.clusterings)) > 0);
    assert!(missing(&tree(|store| &store.versions)) > 0);
    assert_eq!(missing(&|_| {}), 0);
}

#[test]
fn it_can_be_broken_off() {
    let (store, _folder) = filled();
    let found = store.verify(&mut |_| ControlFlow::Break(())).unwrap();
    assert!(!found.complete && found.jobs.count == 1 && found.packs.count == 0);
}
