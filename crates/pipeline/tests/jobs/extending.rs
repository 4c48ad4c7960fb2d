//! New samples in the clusters of a version, and versions from data that needs no model.

use crate::support::*;
use curriculum::{difficulty::Normalization, features::FeatureNormalization};
use curriculum_manifest::{Columns, Source};
use curriculum_pipeline::{PipelineError, Request};
use curriculum_store::{Clusters, Column, Digest, DriftRecord, JobRecord, JobState, Score, Store};
use std::{fmt::Write, fs, path::Path};

struct Result {
    difficulty: Vec<f32>,
    distance: Vec<f32>,
    cluster: Vec<u32>,
}

fn result(store: &Store, job: &JobRecord) -> Result {
    assert_eq!(job.state, JobState::Succeeded);
    let version = job.version.unwrap();
    let column = |column| store.column(version, column, job.sample_count).unwrap();
    let floats = |c| column(c).into_iter().map(f32::from_le_bytes).collect();
    Result {
        difficulty: floats(Column::Difficulty),
        distance: floats(Column::Distance),
        cluster: column(Column::Cluster)
            .into_iter()
            .map(u32::from_le_bytes)
            .collect(),
    }
}

fn drift(store: &Store, job: &JobRecord) -> DriftRecord {
    let version = store.version(job.version.unwrap()).unwrap().unwrap();
    version.summary.drift.unwrap()
}

fn extension(source: &Path, base: &JobRecord) -> Request {
    Request {
        extend: base.version,
        parameters: curriculum_pipeline::RequestedParameters::default(),
        ..request(source)
    }
}

/// The manifest of `source` with more lines in front and behind.
fn grown(source: &Path, before: &str, after: &str) -> std::path::PathBuf {
    let lines = fs::read_to_string(source).unwrap();
    let path = source.with_file_name("grown.jsonl");
    fs::write(&path, format!("{before}{lines}{after}")).unwrap();
    path
}

fn line(id: &str, path: &str, label: &str) -> String {
    format!("{{\"id\":\"{id}\",\"path\":\"{path}\",\"label\":\"{label}\"}}\n")
}

#[test]
fn the_same_samples_keep_their_bits() {
    let (source, _files) = source_with(|i| i == 3 || i == 300);
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    for (score, normalization, features) in [
        (
            Score::Distance,
            Normalization::ClusterMinMax,
            FeatureNormalization::Standard,
        ),
        (
            Score::Cosine,
            Normalization::GlobalMinMax,
            FeatureNormalization::None,
        ),
        (
            Score::Distance,
            Normalization::None,
            FeatureNormalization::None,
        ),
    ] {
        for by_label in [false, true] {
            let mut fit = request(&source);
            fit.parameters.feature_normalization = features;
            fit.parameters.score = score;
            fit.parameters.normalization = normalization;
            fit.parameters.by_label = by_label;
            let base = run(&pipeline, &fit);
            let again = run(&pipeline, &extension(&source, &base));
            assert_ne!(again.version, base.version);
            assert_eq!(bytes(&store, &again), bytes(&store, &base));
            let drift = drift(&store, &again);
            assert_eq!((drift.kept, drift.added), (SAMPLES as u64 - 2, 0));
            assert_eq!(Some(drift.base), base.version);
        }
    }
}

#[test]
fn new_samples_like_old_ones_get_their_distance_and_others_drift() {
    let (source, files) = source();
    let counts = Counts::default();
    let (store, _folder) = store();
    let extractor = CountingExtractor {
        counts: counts.clone(),
        ..Default::default()
    };
    let pipeline = pipeline(&store, extractor);
    let mut fit = request(&source);
    fit.parameters.clusters = Some(Clusters::Fixed(3));
    let base = run(&pipeline, &fit);
    // Copies of ten samples under other ids, before and after; and ten that lie between the groups.
    let (mut before, mut after) = (String::new(), String::new());
    for i in 0..10 {
        before += &line(&format!("copy{i}"), &format!("{i}.png"), "0");
        let path = files.path().join(format!("new{i}.png"));
        fs::write(path, format!("{} {}", i % 3, 100_000 + 17 * i)).unwrap();
        after += &line(&format!("new{i}"), &format!("new{i}.png"), "0");
    }
    let grown = grown(&source, &before, &after);
    let job = run(&pipeline, &extension(&grown, &base));
    let (old, new) = (result(&store, &base), result(&store, &job));
    for i in 0..SAMPLES {
        assert_eq!(new.difficulty[10 + i], old.difficulty[i]);
        assert_eq!(new.distance[10 + i], old.distance[i]);
        assert_eq!(new.cluster[10 + i], old.cluster[i]);
    }
    for i in 0..10 {
        assert_eq!(new.difficulty[i], old.difficulty[i]);
        assert_eq!(new.distance[i], old.distance[i]);
        assert_eq!(new.cluster[i], old.cluster[i]);
    }
    // Only what is new was extracted.
    assert_eq!(counts.lock().unwrap().values().sum::<usize>(), SAMPLES + 10);

    let found = drift(&store, &job);
    assert_eq!((found.kept, found.added), (SAMPLES as u64, 20));
    let limit = |cluster: u32| {
        let members = old.cluster.iter().zip(&old.distance);
        let members = members.filter(|(k, _)| **k == cluster);
        let mut sorted: Vec<f64> = members.map(|(_, d)| f64::from(*d)).collect();
        sorted.sort_by(f64::total_cmp);
        let place = (sorted.len() - 1) as f64 * 0.99;
        let low = place.floor() as usize;
        let high = (low + 1).min(sorted.len() - 1);
        sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
    };
    let fresh = (0..10).chain(SAMPLES + 10..SAMPLES + 20);
    let beyond = fresh.filter(|i| f64::from(new.distance[*i]) > limit(new.cluster[*i]));
    assert_eq!(found.beyond, beyond.count() as u64);
    assert!(new.difficulty.iter().all(|d| (0.0..=1.0).contains(d)));

    // A version that extends another can be extended as well.
    let twice = run(&pipeline, &extension(&grown, &job));
    assert_eq!(bytes(&store, &twice), bytes(&store, &job));
}

#[test]
fn strange_samples_bring_a_warning_and_broken_ones_are_hardest() {
    let (source, files) = source();
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let mut fit = request(&source);
    fit.parameters.clusters = Some(Clusters::Fixed(3));
    fit.parameters.min_cluster_size = Some(1);
    let base = run(&pipeline, &fit);
    let mut lines = line("broken", "absent.png", "0");
    for i in 0..20 {
        // Each file is of one group; its neighbours' features are mixed in by an unusual number.
        fs::write(
            files.path().join(format!("odd{i}.png")),
            format!("{} {}", i % 3, 7 + 29 * i),
        )
        .unwrap();
        lines += &line(&format!("odd{i}"), &format!("odd{i}.png"), "0");
    }
    let mut request = extension(&grown(&source, "", &lines), &base);
    request.parameters.max_failed_fraction = Some(0.1);
    let job = run(&pipeline, &request);
    let new = result(&store, &job);
    assert_eq!(
        (new.difficulty[SAMPLES], new.cluster[SAMPLES]),
        (1.0, u32::MAX)
    );
    assert!(new.distance[SAMPLES].is_nan());
    let found = drift(&store, &job);
    let warned = job
        .warnings
        .iter()
        .any(|warning| warning.starts_with("drift: "));
    assert_eq!(
        warned,
        found.beyond >= 5 && found.beyond as f64 / 20.0 > 0.05
    );
    assert_eq!((found.added, job.failed_count), (20, 1));
}

#[test]
fn what_cannot_be_extended_is_refused_by_its_field() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let refused = |request: &Request| match pipeline.submit(request) {
        Err(PipelineError::Invalid { field, reason }) => (field, reason),
        other => panic!("{other:?}"),
    };
    let unknown = Request {
        extend: Some(Digest::from([9; 32])),
        ..request(&source)
    };
    assert!(refused(&unknown).1.contains("no version"));
    for (score, normalization) in [
        (Score::Neighbours, Normalization::ClusterMinMax),
        (Score::Distance, Normalization::ClusterRank),
    ] {
        let mut fit = request(&source);
        fit.parameters.score = score;
        fit.parameters.normalization = normalization;
        let base = run(&pipeline, &fit);
        assert_eq!(refused(&extension(&source, &base)).0, "extend");
    }
    let mut fit = request(&source);
    fit.parameters.by_label = true;
    let base = run(&pipeline, &fit);
    let mut other = extension(&source, &base);
    other.parameters.clusters = Some(Clusters::Fixed(9));
    assert_eq!(refused(&other).0, "parameters.clusters");
    let mut other = extension(&source, &base);
    other.parameters.feature_normalization = FeatureNormalization::None;
    assert_eq!(refused(&other).0, "parameters.feature_normalization");
    let grown = grown(&source, "", &line("x", "1.png", "unheard of"));
    let (field, reason) = refused(&extension(&grown, &base));
    assert_eq!(field, "extend");
    assert!(reason.contains("unheard of"), "{reason}");

    let features = Request {
        source: vectors(source.parent().unwrap()),
        ..extension(&source, &base)
    };
    assert_eq!(refused(&features).0, "extend", "another model");
}

/// Pushed features: 60 vectors of 3 numbers in one file.
fn vectors(folder: &Path) -> Source {
    let (mut bytes, mut lines) = (Vec::new(), String::new());
    for i in 0..60u32 {
        let row = [0, 1, 2].map(|k| {
            if i % 3 == k {
                9.0
            } else {
                (i as f32 * 0.3).sin()
            }
        });
        bytes.extend(row.map(f32::to_le_bytes).concat());
        let offset = 12 * i;
        writeln!(
            lines,
            r#"{{"id":"v{i}","path":"vectors.bin","offset":{offset},"length":12}}"#
        )
        .unwrap();
    }
    fs::write(folder.join("vectors.bin"), bytes).unwrap();
    fs::write(folder.join("vectors.jsonl"), lines).unwrap();
    Source {
        uri: folder.join("vectors.jsonl").to_str().unwrap().to_owned(),
        vectors: Some(3),
        columns: Columns::default(),
        ..Source::default()
    }
}

#[test]
fn features_too_large_to_be_left_as_they_are_fail_the_job_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let mut request = Request {
        source: vectors(folder.path()),
        ..request(Path::new("unused"))
    };
    let path = folder.path().join("vectors.bin");
    let mut bytes = fs::read(&path).unwrap();
    bytes[12 * 41..][..4].copy_from_slice(&3e38f32.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    request.parameters.feature_normalization = FeatureNormalization::None;
    let job = run(&pipeline, &request);
    let JobState::Failed { reason, .. } = &job.state else {
        panic!("{:?}", job.state);
    };
    let expected = "sample 41 (`v41`): its features are too large to be clustered as they are";
    assert_eq!(reason, expected);
    request.parameters.feature_normalization = FeatureNormalization::Standard;
    assert_eq!(run(&pipeline, &request).state, JobState::Succeeded);
}

#[test]
fn features_need_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _folder) = store();
    let counts = Counts::default();
    let extractor = CountingExtractor {
        counts: counts.clone(),
        ..Default::default()
    };
    let pipeline = pipeline(&store, extractor);
    let mut request = Request {
        source: vectors(folder.path()),
        ..request(Path::new("unused"))
    };
    let job = run(&pipeline, &request);
    assert_eq!(job.model, "features");
    assert!(counts.lock().unwrap().is_empty());
    let found = result(&store, &job);
    for i in 3..60 {
        assert_eq!(found.cluster[i], found.cluster[i % 3]);
    }
    request.model = Some("counting".to_owned());
    assert!(matches!(
        pipeline.submit(&request),
        Err(PipelineError::Invalid { field: "model", .. })
    ));
}
