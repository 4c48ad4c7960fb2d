//! A source of small files, and an extractor that reads their text instead of running a model.

use curriculum_extractor::{Read, ReadError, Sink};
use curriculum_manifest::Source;
use curriculum_pipeline::{
    FeatureExtractor, JobView, Pipeline, PipelineOptions, Request, RequestedParameters, Submitted,
};
use curriculum_store::{Clusters, Column, Digest, Identity, JobRecord, Store};
use std::{
    collections::HashMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::sync::watch;

/// Samples of [`source`]: a few chunks, the last one short.
pub(crate) const SAMPLES: usize = 900;

/// A manifest of [`SAMPLES`] files; the text of file i is its group and number.
pub(crate) fn source() -> (PathBuf, TempDir) {
    source_with(|_| false)
}

/// Where `broken` says so, the text is `broken`.
pub(crate) fn source_with(broken: impl Fn(usize) -> bool) -> (PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for i in 0..SAMPLES {
        let text = if broken(i) {
            "broken".to_owned()
        } else {
            format!("{} {i}", i % 3)
        };
        fs::write(folder.path().join(format!("{i}.png")), text).unwrap();
        writeln!(
            lines,
            r#"{{"id":"s{i}","path":"{i}.png","label":"{}"}}"#,
            i % 3
        )
        .unwrap();
    }
    let manifest = folder.path().join("manifest.jsonl");
    fs::write(&manifest, lines).unwrap();
    (manifest, folder)
}

/// How often each text was extracted, over all extractors that share it.
pub(crate) type Counts = Arc<Mutex<HashMap<String, usize>>>;

/// Samples of one call of a model.
const BLOCK: usize = 64;

/// Features from text: one of three distant centres, plus a small offset by number.
#[derive(Default)]
pub(crate) struct CountingExtractor {
    pub(crate) counts: Counts,
    /// Blocks that succeed before all others fail.
    pub(crate) calls_left: Option<usize>,
    /// Texts of which no features come.
    pub(crate) fails: Vec<String>,
    /// If set, every block first waits for a message.
    pub(crate) gate: Option<std::sync::mpsc::Receiver<()>>,
}

impl FeatureExtractor for CountingExtractor {
    fn model(&self) -> &str {
        "counting"
    }

    fn digest(&self) -> Digest {
        Digest::from([7; 32])
    }

    fn dimension(&self) -> usize {
        4
    }

    fn extract(
        &mut self,
        samples: &mut (dyn Iterator<Item = usize> + Send),
        read: &Read<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), String> {
        loop {
            let block: Vec<usize> = samples.take(BLOCK).collect();
            if block.is_empty() {
                return Ok(());
            }
            if let Some(gate) = &self.gate {
                let _ = gate.recv();
            }
            if let Some(left) = &mut self.calls_left {
                *left = left.checked_sub(1).ok_or("out of calls")?;
            }
            for sample in block {
                let row = match read(sample) {
                    Ok(image) => self.features(&image),
                    Err(ReadError::Sample(reason)) => Err(reason),
                    Err(ReadError::Fatal(reason)) => return Err(reason),
                };
                let row = row.as_ref().map(<[f32; 4]>::as_slice);
                if sink(sample, row.map_err(String::clone)).is_break() {
                    return Ok(());
                }
            }
        }
    }
}

impl CountingExtractor {
    fn features(&self, image: &[u8]) -> Result<[f32; 4], String> {
        let text = String::from_utf8(image.to_vec()).unwrap();
        *self.counts.lock().unwrap().entry(text.clone()).or_default() += 1;
        if self.fails.contains(&text) {
            return Err("out of memory".to_owned());
        }
        let (group, number) = text
            .split_once(' ')
            .ok_or(format!("`{text}` is not an image"))?;
        let mut row = [0.0; 4];
        fill(&mut row, group.parse().unwrap(), number.parse().unwrap());
        Ok(row)
    }
}

fn fill(row: &mut [f32], group: usize, number: usize) {
    row[group] = 10.0;
    row[3] = (number as f32 * 0.37).sin();
    row[(group + 1) % 3] = (number as f32 * 0.11).cos();
}

/// A pipeline whose extraction waits until the sender is dropped.
pub(crate) fn gated_pipeline(store: &Arc<Store>) -> (Pipeline, std::sync::mpsc::Sender<()>) {
    let (open, gate) = std::sync::mpsc::channel();
    let extractor = CountingExtractor {
        gate: Some(gate),
        ..Default::default()
    };
    (pipeline(store, extractor), open)
}

pub(crate) fn request(source: &Path) -> Request {
    Request {
        curriculum: "c".to_owned(),
        source: Source::new(source.to_str().unwrap()),
        shown_source: None,
        identity: Identity::Bytes,
        model: None,
        parameters: RequestedParameters {
            clusters: Some(Clusters::Auto { min: 2, max: 5 }),
            ..Default::default()
        },
        priority: 0,
        force: false,
        extend: None,
    }
}

/// A pipeline on `store`.
pub(crate) fn pipeline(store: &Arc<Store>, extractor: CountingExtractor) -> Pipeline {
    start(store, extractor)
}

pub(crate) fn start(store: &Arc<Store>, extractor: impl FeatureExtractor + 'static) -> Pipeline {
    let options = PipelineOptions::default();
    let pipeline = Pipeline::start(Arc::clone(store), options).unwrap();
    pipeline.provide(Box::new(extractor));
    pipeline
}

pub(crate) fn store() -> (Arc<Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Arc::new(Store::open(folder.path()).unwrap()), folder)
}

/// Waits until `done` holds for what watchers see, or the job has left the thread.
pub(crate) fn wait_until(
    mut views: watch::Receiver<JobView>,
    mut done: impl FnMut(&JobView) -> bool,
) -> JobRecord {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        loop {
            let view = views.borrow_and_update().clone();
            if done(&view) || views.changed().await.is_err() {
                return views.borrow().record.clone();
            }
        }
    })
}

/// The job's last state.
pub(crate) fn wait(pipeline: &Pipeline, job: &Submitted) -> JobRecord {
    wait_until(pipeline.watch(job.job.record.id).unwrap(), |_| false)
}

/// Submits and waits.
pub(crate) fn run(pipeline: &Pipeline, request: &Request) -> JobRecord {
    let submitted = pipeline.submit(request).unwrap();
    wait(pipeline, &submitted)
}

/// Everything a version consists of, as bytes.
pub(crate) fn bytes(store: &Store, job: &JobRecord) -> Vec<u8> {
    let version = job.version.unwrap();
    let clustering = store.clustering(version).unwrap();
    let values = u64::from(clustering.clusters) * u64::from(clustering.dimension);
    let mut bytes = store.column(version, Column::Centroids, values).unwrap();
    for column in [Column::Difficulty, Column::Distance, Column::Cluster] {
        bytes.extend(store.column(version, column, job.sample_count).unwrap());
    }
    let mut bytes = bytes.concat();
    for point in store.sketch(version).unwrap().points() {
        bytes.extend(
            point
                .value
                .to_le_bytes()
                .into_iter()
                .chain(point.count.to_le_bytes()),
        );
    }
    bytes
}
