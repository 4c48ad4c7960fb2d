//! Features by content: appending packs, finding samples, opening again.
//!
//! `cargo bench -p curriculum-store --bench features -- [SAMPLES] [FOLDER]`; 1,000,000 samples of 8
//! values in a temporary folder by default, 100,000 with `--quick`. One line of JSON on standard output.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement"
)]

mod support;

use curriculum_store::{Digest, FeatureSpace, Pack, SAMPLES_PER_CHUNK, Store};
use std::{hint::black_box, path::Path};
use support::{Memory, arguments, digest, list, size, timed};

const DIMENSION: usize = 8;
const MODEL: [u8; 32] = [1; 32];
/// Look-ups that are timed, of so many samples each.
const LOOKUPS: u64 = 64;
const ASKED: u64 = SAMPLES_PER_CHUNK;

fn main() {
    let temporary = tempfile::tempdir().unwrap();
    let (samples, folder) = arguments([100_000, 1_000_000], temporary.path());
    measure(&folder, samples);
}

fn measure(folder: &Path, samples: u64) {
    let memory = Memory::watch();
    let store = Store::open(folder).unwrap();
    let space = store.feature_space(MODEL.into(), DIMENSION).unwrap();
    let (_, append) = timed(|| {
        for first in (0..samples).step_by(256) {
            space
                .append(&pack(first..samples.min(first + 256)))
                .unwrap();
        }
        store.flush().unwrap();
    });
    let ((), listing) = timed(|| list(&store, MODEL.into(), samples));
    let found = find(&space, |n| n * samples / (LOOKUPS * ASKED), true);
    let absent = find(&space, |n| samples + n, false);
    let peak = memory.peak();
    drop((space, store));
    let memory = Memory::watch();
    let (store, open) = timed(|| Store::open(folder).unwrap());
    let (space, open_space) = timed(|| store.feature_space(MODEL.into(), DIMENSION).unwrap());
    let again = find(&space, |n| n * samples / (LOOKUPS * ASKED), true);
    println!(
        "{{\"samples\":{samples},\"append_per_s\":{:.0},\"samples_per_s\":{:.0},\
         \"find_4096_present_ms\":{found:.2},\"find_4096_absent_ms\":{absent:.2},\
         \"find_4096_reopened_ms\":{again:.2},\"open_s\":{:.3},\"peak_anonymous_mib\":{:.1},\
         \"reopened_anonymous_mib\":{:.1},\"bytes_per_sample\":{:.1}}}",
        samples as f64 / append,
        samples as f64 / listing,
        open + open_space,
        peak as f64 / 1024.0,
        memory.peak() as f64 / 1024.0,
        size(folder) as f64 / samples as f64,
    );
}

fn pack(samples: std::ops::Range<u64>) -> Pack {
    let rows = samples.clone().count();
    Pack {
        digests: samples.map(digest).collect(),
        features: vec![0.5; rows * DIMENSION],
        failures: Vec::new(),
    }
}

/// Milliseconds to find [`ASKED`] samples.
fn find(space: &FeatureSpace, number: impl Fn(u64) -> u64, present: bool) -> f64 {
    let batches: Vec<Vec<Digest>> = (0..LOOKUPS)
        .map(|batch| {
            (0..ASKED)
                .map(|n| digest(number(batch + n * LOOKUPS)))
                .collect()
        })
        .collect();
    let (_, seconds) = timed(|| {
        for batch in &batches {
            let found = black_box(space.find(batch).unwrap());
            assert!(found.iter().all(|found| found.is_some() == present));
        }
    });
    seconds * 1000.0 / LOOKUPS as f64
}
