//! Publication of a large version: difficulty, distance and cluster of every sample, then the record
//! and the pointer; and what it costs to open the folder and to read.
//!
//! `cargo bench -p curriculum-store --bench publish -- [SAMPLES] [FOLDER]`; 10,000,000 samples in a
//! temporary folder by default, 1,000,000 with `--quick`. One line of JSON on standard output.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement"
)]

mod support;

use curriculum_store::{Column, Store};
use std::{hint::black_box, path::Path};
use support::{
    Memory, arguments, size, timed,
    version::{VERSION, publish, sketch},
};

fn main() {
    let temporary = tempfile::tempdir().unwrap();
    let (samples, folder) = arguments([1_000_000, 10_000_000], temporary.path());
    measure(&folder, samples);
}

fn measure(folder: &Path, samples: u64) {
    let memory = Memory::watch();
    let store = Store::open(folder).unwrap();
    let sketch = sketch(samples);
    let (_, publish) = timed(|| publish(&store, samples, &sketch));
    let peak = memory.peak();
    drop(store);
    let bytes = size(folder);
    let memory = Memory::watch();
    let (store, open) = timed(|| Store::open(folder).unwrap());
    let (record, record_read) = timed(|| store.version(VERSION.into()).unwrap().unwrap());
    let middle = samples / 2..(samples / 2 + 1000).min(samples);
    let (_, range) = timed(|| {
        let values = store.column_range(VERSION.into(), Column::Difficulty, middle);
        black_box(values.unwrap());
    });
    let open_memory = memory.peak();
    let length = record.summary.sample_count;
    let (_, whole) = timed(|| {
        let values = store.column(VERSION.into(), Column::Difficulty, length);
        black_box(values.unwrap());
    });
    println!(
        "{{\"samples\":{samples},\"publish_s\":{publish:.3},\"disk_bytes\":{bytes},\
         \"bytes_per_sample\":{:.2},\"peak_anonymous_mib\":{:.1},\"open_s\":{open:.4},\
         \"record_s\":{record_read:.6},\"thousand_values_s\":{range:.6},\
         \"open_anonymous_mib\":{:.1},\"whole_column_s\":{whole:.3}}}",
        bytes as f64 / samples as f64,
        peak as f64 / 1024.0,
        open_memory as f64 / 1024.0,
    );
}
