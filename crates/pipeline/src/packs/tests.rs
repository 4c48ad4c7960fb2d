use super::*;
use curriculum_store::{Digest, Pack, PackFailure, ReadFailure, SampleRecord, Store};

const SAMPLES: u64 = 1_000;
const LISTING: [u8; 32] = [1; 32];

fn digest(content: u64) -> Digest {
    Digest::of_parts([content.to_le_bytes().as_slice()])
}

/// Features of content i are (i, -i); those of failed ones zero.
fn append(space: &FeatureSpace, contents: &[u64], failed: &[u64]) -> u64 {
    let mut pack = Pack::default();
    for (row, content) in (0..).zip(contents) {
        pack.digests.push(digest(*content));
        let value = if failed.contains(content) {
            0.0
        } else {
            *content as f32
        };
        pack.features.extend([value, -value]);
        if failed.contains(content) {
            let reason = "broken".to_owned();
            pack.failures.push(PackFailure { row, reason });
        }
    }
    space.append(&pack).unwrap()
}

/// Lists samples of these contents; those of `unreadable` have none.
fn list(store: &Store, contents: &[u64], unreadable: &[u64]) {
    let sample = |content: &u64| {
        let failure = unreadable.contains(content).then(|| ReadFailure {
            kind: "io".to_owned(),
            reason: "away".to_owned(),
        });
        SampleRecord {
            id: format!("s{content}"),
            digest: failure.is_none().then(|| digest(*content)),
            failure,
            ..SampleRecord::default()
        }
    };
    let samples: Vec<SampleRecord> = contents.iter().map(sample).collect();
    store.put_sample_chunk(LISTING.into(), 0, &samples).unwrap();
}

struct Fixture {
    store: Store,
    space: FeatureSpace,
    folder: tempfile::TempDir,
    go_on: AtomicBool,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        Self {
            space: store.feature_space([2; 32].into(), 2).unwrap(),
            store,
            folder,
            go_on: AtomicBool::new(false),
        }
    }

    fn samples(&self, count: usize) -> Samples<'_> {
        Samples {
            store: &self.store,
            space: &self.space,
            listing: LISTING.into(),
            count: count as u64,
        }
    }

    fn open(&self, count: usize) -> Result<PackSource<'_>, RowError> {
        PackSource::open(&self.samples(count), &self.go_on, |_| true)
    }
}

#[test]
fn rows_are_those_of_the_usable_samples_in_order() {
    let fixture = Fixture::new();
    let all: Vec<u64> = (0..SAMPLES).collect();
    let failed = [0, 300, 301, 999];
    for contents in all.chunks(PACK) {
        append(&fixture.space, contents, &failed);
    }
    // Backwards, twice, and mixed: as in a manifest that was put together from others.
    let mixed: Vec<u64> = all.iter().map(|i| i * 7 % SAMPLES).collect();
    let reversed: Vec<u64> = all.iter().rev().copied().collect();
    for contents in [
        &all,
        &reversed,
        &[all.clone(), all.clone()].concat(),
        &mixed,
    ] {
        list(&fixture.store, contents, &[17]);
        let is_usable = |content: &u64| !failed.contains(content) && *content != 17;
        let usable: Vec<u64> = contents.iter().copied().filter(is_usable).collect();
        let source = fixture.open(contents.len()).unwrap();
        assert_eq!(source.rows(), usable.len());
        let expected = |range: Range<usize>| -> Vec<f32> {
            let rows = usable[range].iter();
            rows.flat_map(|i| [*i as f32, -(*i as f32)]).collect()
        };
        let mut buffer = vec![9.0];
        for range in [
            0..usable.len(),
            0..1,
            254..258,
            290..310,
            5..5,
            0..usable.len(),
        ] {
            assert_eq!(
                source.block(range.clone(), &mut buffer).unwrap(),
                expected(range)
            );
        }
        let by_sample: Vec<u64> = source.by_sample(&usable, u64::MAX).collect();
        let whole = |(value, content): (&u64, &u64)| match is_usable(content) {
            true => value == content,
            false => *value == u64::MAX,
        };
        assert!(by_sample.iter().zip(contents).all(whole));
        for (row, content) in usable.iter().enumerate() {
            assert_eq!(contents[source.sample(row)], *content);
        }
    }
}

#[test]
fn a_fresh_extraction_is_one_run_for_each_pack() {
    let fixture = Fixture::new();
    let all: Vec<u64> = (0..SAMPLES).collect();
    for contents in all.chunks(PACK) {
        append(&fixture.space, contents, &[]);
    }
    list(&fixture.store, &all, &[]);
    let source = fixture.open(all.len()).unwrap();
    assert_eq!(source.runs.len(), all.len().div_ceil(PACK));
    assert_eq!(size_of::<Run>(), 16);
}

#[test]
fn damage_is_found_at_the_first_read_and_the_pack_forgotten() {
    let fixture = Fixture::new();
    let all: Vec<u64> = (0..SAMPLES).collect();
    let packs: Vec<u64> = all
        .chunks(PACK)
        .map(|some| append(&fixture.space, some, &[]))
        .collect();
    list(&fixture.store, &all, &[]);
    let source = fixture.open(all.len()).unwrap();
    let spaces = std::fs::read_dir(fixture.folder.path().join("features")).unwrap();
    let space = spaces.last().unwrap().unwrap().path();
    let path = space.join(format!("pack-{:08}.features", packs[2]));
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 100;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut buffer = Vec::new();
    assert!(source.block(0..PACK, &mut buffer).is_ok());
    let error = source
        .block(2 * PACK..2 * PACK + 1, &mut buffer)
        .unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(RowError::Lost)));
    assert!(!fixture.space.contains(packs[2]));
    assert!(matches!(fixture.open(all.len()), Err(RowError::Lost)));
    append(&fixture.space, &all[2 * PACK..3 * PACK], &[]);
    assert!(fixture.open(all.len()).is_ok());
}

#[test]
fn an_interrupt_ends_a_read() {
    let fixture = Fixture::new();
    append(&fixture.space, &[1, 2], &[]);
    list(&fixture.store, &[1, 2], &[]);
    let source = fixture.open(2).unwrap();
    fixture.go_on.store(true, Ordering::Relaxed);
    let error = source.block(0..2, &mut Vec::new()).unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(RowError::Interrupted)));
}
