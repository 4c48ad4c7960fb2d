//! What a space promises, and what survives a kill and damage.

use super::*;
use crate::store::temporary;
use std::{fs, path::Path};

const MODEL: [u8; 32] = [1; 32];

fn digest(n: u64) -> Digest {
    Digest::of_parts([n.to_le_bytes().as_slice()])
}

/// Samples of these numbers; features of sample n are (n, -n), and it fails if `failed` says so.
fn pack(samples: impl IntoIterator<Item = u64>, failed: &[u64]) -> Pack {
    let mut pack = Pack::default();
    for (row, n) in (0..).zip(samples) {
        pack.digests.push(digest(n));
        if failed.contains(&n) {
            pack.features.extend([0.0; 2]);
            let reason = format!("sample {n}");
            pack.failures.push(PackFailure { row, reason });
        } else {
            pack.features.extend([n as f32, -(n as f32)]);
        }
    }
    pack
}

fn space(store: &Store) -> FeatureSpace {
    store.feature_space(MODEL.into(), 2).unwrap()
}

fn path(root: &Path, name: &str) -> PathBuf {
    root.join("features")
        .join(Digest::from(MODEL).to_string())
        .join(name)
}

fn reopened(store: Store, folder: &Path) -> Store {
    drop(store);
    Store::open(folder).unwrap()
}

fn at(pack: u64, row: u32) -> Option<Found> {
    Some(Found { pack, row })
}

fn is_corrupt<T>(result: Result<T>) -> bool {
    matches!(result, Err(StoreError::Corrupt { .. }))
}

#[test]
fn samples_are_found_by_content_in_any_order_and_after_reopening() {
    let (store, folder) = temporary();
    let written = space(&store);
    assert_eq!(written.append(&pack([5, 6, 7], &[6])).unwrap(), 0);
    assert_eq!(written.append(&pack([8], &[])).unwrap(), 1);
    let wanted = [8, 9, 6, 5].map(digest);
    let expected = [at(1, 0), None, at(0, 1), at(0, 0)];
    assert_eq!(space(&store).find(&wanted).unwrap(), expected);
    drop(written);
    let store = reopened(store, folder.path());
    let space = space(&store);
    assert_eq!(space.find(&wanted).unwrap(), expected);
    assert_eq!(space.read(0).unwrap(), Some(pack([5, 6, 7], &[6])));
    assert_eq!(space.read(2).unwrap(), None);
    assert_eq!(space.append(&pack([9], &[])).unwrap(), 2);
    assert_eq!(space.packs(), [0, 1, 2]);
}

#[test]
fn outlines_and_rows_are_those_of_the_pack() {
    let (store, _folder) = temporary();
    let space = space(&store);
    assert!(is_corrupt(space.outline(0)));
    let pack = pack([3, 4, 5], &[4]);
    space.append(&pack).unwrap();
    let outline = space.outline(0).unwrap();
    assert_eq!(outline.digests, pack.digests);
    assert_eq!(outline.failures, pack.failures);
    let mut features = vec![9.0];
    for rows in [2..3, 1..1, 0..2] {
        space.read_rows(0, rows, &mut features).unwrap();
    }
    assert_eq!(features, [9.0, 5.0, -5.0, 3.0, -3.0, 0.0, 0.0]);
    assert!(is_corrupt(space.read_rows(0, 2..4, &mut features)));
    assert!(is_corrupt(space.read_rows(7, 0..1, &mut features)));
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let (store, _folder) = temporary();
    let space = space(&store);
    let mut short = pack([1, 2], &[]);
    short.features.pop();
    let mut beyond = pack([1], &[1]);
    beyond.failures[0].row = 1;
    for wrong in [Pack::default(), short, beyond, pack(0..257, &[])] {
        let refused = space.append(&wrong);
        assert!(matches!(refused, Err(StoreError::Invalid(_))));
    }
    assert!(is_corrupt(store.feature_space(MODEL.into(), 3)));
    assert_eq!(space.packs(), [0u64; 0]);
}

#[test]
fn what_is_forgotten_is_not_found_until_it_is_there_again() {
    let (store, folder) = temporary();
    let written = space(&store);
    written.append(&pack([1, 2], &[2])).unwrap();
    written.append(&pack([3], &[])).unwrap();
    written.forget_samples(&[digest(2), digest(99)]).unwrap();
    written.forget(1).unwrap();
    drop(written);
    let store = reopened(store, folder.path());
    let space = space(&store);
    let wanted = [1, 2, 3].map(digest);
    assert_eq!(space.find(&wanted).unwrap(), [at(0, 0), None, None]);
    // Numbers are not used again, not even that of the pack that is gone.
    assert_eq!(space.append(&pack([2, 3], &[])).unwrap(), 3);
    let found = space.find(&wanted).unwrap();
    assert_eq!(found, [at(0, 0), at(3, 0), at(3, 1)]);
}

#[test]
fn a_cut_or_stretched_pack_has_no_outline_and_no_flip_is_served() {
    let (store, folder) = temporary();
    let space = space(&store);
    space.append(&pack([1, 2], &[2])).unwrap();
    let path = path(folder.path(), "pack-00000000.features");
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        fs::write(&path, &bytes[..at]).unwrap();
        assert!(is_corrupt(space.outline(0)) && is_corrupt(space.read(0)));
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        fs::write(&path, damaged).unwrap();
        assert!(is_corrupt(space.read(0)), "byte {at}");
    }
    fs::write(&path, [bytes, vec![0]].concat()).unwrap();
    assert!(is_corrupt(space.outline(0)));
}

/// Enough packs for runs of several sizes.
fn many(store: &Store, packs: u64) -> FeatureSpace {
    let space = space(store);
    for n in 0..packs {
        space.append(&pack(n * 256..(n + 1) * 256, &[])).unwrap();
    }
    space
}

fn runs(root: &Path) -> Vec<String> {
    let names = fs::read_dir(path(root, "")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut runs: Vec<_> = names.filter(|name| name.ends_with(".run")).collect();
    runs.sort();
    runs
}

/// Every fifth sample, and as many that are not there.
fn check_all(space: &FeatureSpace, packs: u64) {
    let wanted: Vec<u64> = (0..packs * 512).step_by(5).collect();
    let digests: Vec<Digest> = wanted.iter().map(|n| digest(*n)).collect();
    for (n, found) in wanted.iter().zip(space.find(&digests).unwrap()) {
        let expected = at(n / 256, (n % 256) as u32).filter(|found| found.pack < packs);
        assert_eq!(found, expected, "{n}");
    }
}

#[test]
fn runs_merge_and_hold_every_sample() {
    const PACKS: u64 = 5 * 4 + 3;
    let (mut store, folder) = temporary();
    check_all(&many(&store, PACKS), PACKS);
    // Four runs became one; the fifth is alone, and three packs are in memory.
    let expected = ["index-00000000-00000016.run", "index-00000016-00000020.run"];
    assert_eq!(runs(folder.path()), expected);
    // A lost or damaged run is made again.
    for damage in 0..3 {
        let run = path(folder.path(), expected[0]);
        let mut bytes = fs::read(&run).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        match damage {
            0 => {}
            1 => fs::remove_file(&run).unwrap(),
            _ => fs::write(&run, bytes).unwrap(),
        }
        store = reopened(store, folder.path());
        check_all(&space(&store), PACKS);
        assert_eq!(runs(folder.path()), expected);
    }
}

#[test]
fn a_merge_that_was_killed_is_done_again() {
    const PACKS: u64 = 2 * 4;
    let (store, folder) = temporary();
    let written = many(&store, PACKS);
    // As if killed after the longer run got its name and before the shorter ones went.
    let shorter = runs(folder.path());
    let state = index::Index::open(&path(folder.path(), ""), vec![(0, 4), (4, 8)]).unwrap();
    let mut packs = packs::Packs::default();
    (0..PACKS).for_each(|number| packs.insert(number));
    index::merge(&path(folder.path(), ""), state.runs(), &packs).unwrap();
    fs::write(path(folder.path(), "unfinished-index"), "half").unwrap();
    drop(written);
    let store = reopened(store, folder.path());
    check_all(&space(&store), PACKS);
    assert_eq!(shorter.len(), 2);
    assert_eq!(runs(folder.path()), ["index-00000000-00000008.run"]);
    assert!(!path(folder.path(), "unfinished-index").exists());
}

#[test]
fn a_flipped_bit_of_the_index_leads_nowhere() {
    const PACKS: u64 = 4;
    let (store, folder) = temporary();
    let space = many(&store, PACKS);
    let run = path(folder.path(), &runs(folder.path())[0]);
    let bytes = fs::read(&run).unwrap();
    let digests: Vec<Digest> = (0..PACKS * 256).map(digest).collect();
    // Through the file that the space has open: a sample is found where it is, or not at all.
    for at_byte in (32..32 + 128 * 44).step_by(5) {
        let mut damaged = bytes.clone();
        damaged[at_byte] ^= 1 << (at_byte % 8);
        fs::write(&run, damaged).unwrap();
        let mut lost = 0;
        for (n, found) in (0u64..).zip(space.find(&digests).unwrap()) {
            match found {
                Some(found) => assert_eq!(Some(found), at(n / 256, (n % 256) as u32)),
                None => lost += 1,
            }
        }
        assert!((1..128).contains(&lost), "byte {at_byte}: {lost}");
    }
}
