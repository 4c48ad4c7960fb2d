//! A version out to a file and into another folder, and both folders read by `verify`.
//!
//! `cargo bench -p curriculum-store --bench portable -- [SAMPLES] [FOLDER]`; 1,000,000 samples in a
//! temporary folder by default, 100,000 with `--quick`. One line of JSON on standard output.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement"
)]

mod support;

use curriculum_store::Store;
use std::{
    fs::File,
    io::{BufReader, BufWriter},
    ops::ControlFlow,
    path::Path,
};
use support::{
    Memory, arguments, list, timed,
    version::{VERSION, publish, sketch},
};

fn main() {
    let temporary = tempfile::tempdir().unwrap();
    let (samples, folder) = arguments([100_000, 1_000_000], temporary.path());
    measure(&folder, samples);
}

fn measure(folder: &Path, samples: u64) {
    let from = Store::open(&folder.join("from")).unwrap();
    list(&from, VERSION.into(), samples);
    publish(&from, samples, &sketch(samples));
    let path = folder.join("version.curriculum");
    let memory = Memory::watch();
    let (_, export) = timed(|| {
        let mut file = BufWriter::new(File::create(&path).unwrap());
        from.export_version(VERSION.into(), &mut file).unwrap();
    });
    let export_memory = memory.peak();
    let to = Store::open(&folder.join("to")).unwrap();
    let memory = Memory::watch();
    let (_, import) = timed(|| {
        let mut file = BufReader::new(File::open(&path).unwrap());
        to.import_version(&mut file, "imported").unwrap();
    });
    let import_memory = memory.peak();
    let memory = Memory::watch();
    let (found, verify) = timed(|| to.verify(&mut |_| ControlFlow::Continue(())).unwrap());
    assert_eq!(found.damaged, []);
    let verify_memory = memory.peak();
    let (garbage, collect) = timed(|| to.collect_garbage(true, &mut || ControlFlow::Continue(())));
    assert_eq!(garbage.unwrap().bytes(), 0);
    println!(
        "{{\"samples\":{samples},\"file_bytes\":{},\"export_s\":{export:.3},\"import_s\":{import:.3},\
         \"verify_s\":{verify:.3},\"garbage_s\":{collect:.3},\"export_anonymous_mib\":{:.1},\
         \"import_anonymous_mib\":{:.1},\"verify_anonymous_mib\":{:.1}}}",
        path.metadata().unwrap().len(),
        export_memory as f64 / 1024.0,
        import_memory as f64 / 1024.0,
        verify_memory as f64 / 1024.0,
    );
}
