//! A file gives back what was exported; any other file leaves nothing.

use super::{
    frame::{Kind, Writer},
    *,
};
use crate::{
    Basis, ClusteringRecord, Column, JobState, Store, StoreError,
    envelope::json,
    version::{
        sketch_bytes,
        tests::{SAMPLES, put_version},
    },
};
use curriculum::{Sketch, sketch::Point};
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

fn digest(n: u8) -> Digest {
    Digest::from([n; 32])
}

/// In memory where there is such a folder: these tests write much and none of it is kept.
fn temporary() -> (Store, tempfile::TempDir) {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let folder = folder.unwrap();
    (Store::open(folder.path()).unwrap(), folder)
}

fn samples() -> Vec<SampleRecord> {
    let sample = |n: u8| SampleRecord {
        id: format!("s{n}"),
        label: Some("l".to_owned()),
        digest: Some(digest(n)),
        ..SampleRecord::default()
    };
    (0..SAMPLES as u8).map(sample).collect()
}

/// A folder with version 1, and that version's file.
fn exported() -> (Store, tempfile::TempDir, Vec<u8>) {
    let (store, folder) = temporary();
    store.put_sample_chunk(digest(1), 0, &samples()).unwrap();
    put_version(&store, digest(1));
    store.point("c", digest(1)).unwrap();
    let file = export(&store);
    (store, folder, file)
}

fn export(store: &Store) -> Vec<u8> {
    let mut file = Vec::new();
    store.export_version(digest(1), &mut file).unwrap();
    file
}

fn import(store: &Store, file: &[u8]) -> crate::Result<Imported> {
    store.import_version(&mut &*file, "imported")
}

fn data_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["columns", "samples"] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let inside = std::fs::read_dir(&path).unwrap();
            found.push(path);
            found.extend(inside.map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found
}

#[test]
fn what_was_exported_comes_back() {
    let (from, _kept, file) = exported();
    let (to, folder) = temporary();
    let imported = import(&to, &file).unwrap();
    assert!(!imported.was_there);
    let original = from.version(digest(1)).unwrap().unwrap();
    let read = to.version(digest(1)).unwrap().unwrap();
    assert_eq!(read, imported.version);
    let same_listing = VersionRecord {
        listing: original.listing,
        ..read.clone()
    };
    assert_eq!(same_listing, original);
    assert_eq!(
        to.sketch(digest(1)).unwrap(),
        from.sketch(digest(1)).unwrap()
    );
    assert_eq!(
        to.clustering(digest(1)).unwrap(),
        from.clustering(digest(1)).unwrap()
    );
    for (column, length) in Column::ALL.into_iter().zip([5, 5, 5, 2]) {
        let values = |store: &Store| store.column(digest(1), column, length).unwrap();
        assert_eq!(values(&to), values(&from));
    }
    assert_eq!(to.some_samples(read.listing, 0..5).unwrap(), samples());
    assert_eq!(
        to.curriculum("imported").unwrap().unwrap().versions,
        [digest(1)]
    );
    let found = to.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(found.damaged, []);
    // The same bytes again, from either side, and again there is nothing to do.
    assert_eq!(export(&to), file);
    let files = data_files(folder.path());
    assert!(import(&to, &file).unwrap().was_there);
    assert_eq!(data_files(folder.path()), files);
    assert_eq!(export(&to), file);
    assert!(import(&from, &file).unwrap().was_there);
    assert_eq!(from.version(digest(1)).unwrap().unwrap(), original);
    let unknown = from.export_version(digest(9), &mut Vec::new());
    assert!(matches!(unknown, Err(StoreError::NotFound(_))));
}

#[test]
fn many_samples_take_many_frames() {
    const MANY: u32 = 70_000;
    let (store, _folder) = temporary();
    let values: Vec<f32> = (0..MANY).map(|n| (n as f32 * 0.7).sin().abs()).collect();
    put_version(&store, digest(1));
    let mut version = store.version(digest(1)).unwrap().unwrap();
    version.summary.sample_count = u64::from(MANY);
    for column in [Column::Difficulty, Column::Distance, Column::Cluster] {
        let bytes = values.iter().map(|value| match column {
            Column::Cluster => [0; 4],
            Column::Difficulty | Column::Distance | Column::Centroids => value.to_le_bytes(),
        });
        store.put_column(digest(1), column, bytes).unwrap();
    }
    store.put_version(&version, &Sketch::new(&values)).unwrap();
    let samples: Vec<_> = (0..MANY)
        .map(|n| SampleRecord {
            id: n.to_string(),
            ..SampleRecord::default()
        })
        .collect();
    for (chunk, some) in (0..).zip(samples.chunks(crate::SAMPLES_PER_CHUNK as usize)) {
        store.put_sample_chunk(digest(1), chunk, some).unwrap();
    }
    let file = export(&store);
    let (to, _kept) = temporary();
    let listing = import(&to, &file).unwrap().version.listing;
    assert_eq!(export(&to), file);
    let last = to.some_samples(listing, 69_999..70_000).unwrap();
    assert_eq!(last, samples[69_999..]);
}

/// Nothing of a refused file is in the folder.
fn refused(store: &Store, file: &[u8], why: &str) -> String {
    let reason = match import(store, file) {
        Err(StoreError::Portable(reason)) => reason,
        other => panic!("{why}: {other:?}"),
    };
    assert!(store.version(digest(1)).unwrap().is_none(), "{why}");
    assert!(data_files(store.root()).is_empty(), "{why}");
    assert_eq!(store.curricula().unwrap(), [], "{why}");
    reason
}

#[test]
fn every_flipped_byte_and_every_truncation_is_refused() {
    let (_from, _kept, file) = exported();
    let (to, _folder) = temporary();
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        refused(&to, &damaged, &format!("byte {at}"));
        refused(&to, &file[..at], &format!("length {at}"));
    }
    let longer = [file.as_slice(), &[0]].concat();
    assert_eq!(refused(&to, &longer, "longer"), "something follows its end");
    assert!(!import(&to, &file).unwrap().was_there);
}

/// A file with sound checksums, frame by frame.
fn forged(frames: &[(Kind, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::default();
    writer.begin(&mut file);
    for (kind, payload) in frames {
        writer.frame(&mut file, *kind, payload);
    }
    writer.finish(&mut file);
    file
}

/// The frames of the exported version.
fn frames(store: &Store) -> Vec<(Kind, Vec<u8>)> {
    let id = digest(1);
    let version = VersionRecord {
        listing: listing(id),
        ..store.version(id).unwrap().unwrap()
    };
    let mut frames = vec![
        (Kind::Record, json(&version)),
        (Kind::Clustering, json(&store.clustering(id).unwrap())),
        (Kind::Sketch, sketch_bytes(&store.sketch(id).unwrap())),
    ];
    for (column, length) in Column::ALL.into_iter().zip([5, 5, 5, 2]) {
        frames.push((Kind::Column, column.name().into()));
        let values = store.column(id, column, length).unwrap();
        frames.push((Kind::Values, values.concat()));
    }
    frames.push((Kind::Samples, json(&samples())));
    frames
}

#[test]
fn sound_checksums_do_not_make_a_version() {
    let (store, _kept, file) = exported();
    let sound = frames(&store);
    assert_eq!(forged(&sound), file);
    let (to, _folder) = temporary();
    for left_out in 0..sound.len() {
        let mut frames = sound.clone();
        frames.remove(left_out);
        refused(&to, &forged(&frames), &format!("without {left_out}"));
        let mut frames = sound.clone();
        frames.insert(left_out, sound[left_out].clone());
        refused(&to, &forged(&frames), &format!("twice {left_out}"));
        let mut frames = sound.clone();
        frames.swap(left_out, (left_out + 1) % sound.len());
        refused(&to, &forged(&frames), &format!("swapped {left_out}"));
    }
    let with = |at: usize, payload: Vec<u8>| {
        let mut frames = sound.clone();
        frames[at].1 = payload;
        forged(&frames)
    };
    let floats = |value: f32| [value; 5].map(f32::to_le_bytes).concat();
    let version = |change: &dyn Fn(&mut VersionRecord)| {
        let mut version: VersionRecord = serde_json::from_slice(&sound[0].1).unwrap();
        change(&mut version);
        json(&version)
    };
    let clustering = |change: &dyn Fn(&mut ClusteringRecord)| {
        let mut clustering: ClusteringRecord = serde_json::from_slice(&sound[1].1).unwrap();
        change(&mut clustering);
        json(&clustering)
    };
    let basis = |change: &dyn Fn(&mut Basis)| {
        clustering(&|clustering| change(clustering.basis.as_mut().unwrap()))
    };
    let point = |value, count| Point { value, count };
    let sketch = |points| sketch_bytes(&Sketch::from_points(points));
    let cases = [
        (0, version(&|v| v.summary.sample_count = 6)),
        (0, version(&|v| v.summary.sample_count = u64::MAX)),
        (0, version(&|v| v.listing = digest(2))),
        (0, version(&|v| v.id = digest(2))),
        (0, b"{}".to_vec()),
        (0, version(&|v| v.summary.dimension = 3)),
        (0, version(&|v| v.summary.clusters.clear())),
        (1, clustering(&|c| c.dimension = 3)),
        (1, clustering(&|c| c.clusters = 0)),
        (1, clustering(&|c| c.clusters = u32::MAX)),
        (1, clustering(&|c| c.labels = vec![String::new(); 2])),
        (1, basis(&|b| b.ranges.clear())),
        (1, basis(&|b| b.mean.truncate(1))),
        (1, basis(&|b| b.scale.push(1.0))),
        (2, vec![0; 17]),
        (2, vec![0; 24]),
        (2, sketch(vec![point(0.5, 4.0)])),
        (2, sketch(vec![point(0.5, 2.0), point(0.4, 3.0)])),
        (2, sketch(vec![point(f64::NAN, 5.0)])),
        (2, sketch(vec![point(0.0, -1.0), point(1.0, 6.0)])),
        (3, b"distance".to_vec()),
        (4, floats(f32::NAN)),
        (4, vec![0; 16]),
        (4, vec![0; 24]),
        (6, floats(-1.0)),
        (8, [1u32; 5].map(u32::to_le_bytes).concat()),
        (10, [f32::INFINITY; 2].map(f32::to_le_bytes).concat()),
        (11, json(&samples()[1..].to_vec())),
        (11, b"[".repeat(100_000)),
        (11, json(&"samples")),
    ];
    for (number, (at, payload)) in cases.into_iter().enumerate() {
        refused(&to, &with(at, payload), &format!("case {number}"));
    }
}

#[test]
fn lengths_are_checked_before_memory_is_taken() {
    let (to, _folder) = temporary();
    let with = |tag: u8, length: u64| {
        let mut file = b"CURVERS1".to_vec();
        file.push(tag);
        file.extend(length.to_le_bytes());
        file
    };
    let reason = refused(&to, &with(1, u64::MAX), "too long");
    assert!(reason.contains("too long"), "{reason}");
    let reason = refused(&to, &with(1, 1 << 28), "nothing comes");
    assert_eq!(reason, "it ends early");
    let reason = refused(&to, &with(99, 1), "unknown");
    assert_eq!(reason, "part 1 is no Record");
    assert_eq!(
        refused(&to, b"PK\x03\x04 and so on", "no version"),
        "not an exported version"
    );
}

#[test]
fn a_version_that_is_here_is_not_replaced() {
    let (store, _kept, file) = exported();
    let mut frames = frames(&store);
    let other = |frame: &mut Vec<u8>| {
        let mut version: VersionRecord = serde_json::from_slice(frame).unwrap();
        version.summary.inertia = 9.0;
        *frame = json(&version);
    };
    other(&mut frames[0].1);
    assert!(matches!(
        import(&store, &forged(&frames)),
        Err(StoreError::Portable(_))
    ));
    assert_eq!(export(&store), file);
    let mut job = crate::job::tests::job(1);
    (job.version, job.state) = (Some(digest(1)), JobState::Running);
    store.put_job(&job).unwrap();
    assert!(matches!(import(&store, &file), Err(StoreError::Invalid(_))));
    for name in ["", "a/b", ".a"] {
        let refused = store.import_version(&mut &*file, name);
        assert!(matches!(refused, Err(StoreError::Invalid(_))));
    }
}
