//! Parameters reach the method, and a job's outcome is that of the method on the same features.

use crate::support::*;
use curriculum::{difficulty::Normalization, features::FeatureNormalization};
use curriculum_clustering::Clusters as KMeansClusters;
use curriculum_extractor::{Read, Sink};
use curriculum_pipeline::{FeatureExtractor, PipelineError, Request, fit};
use curriculum_store::{Clusters, Column, Digest, JobRecord, JobState, Score, Stage, Store};
use ndarray::Array2;
use std::{fs, ops::ControlFlow, path::Path, sync::Arc};

const BROKEN: [usize; 4] = [0, 255, 256, 700];

fn request_by_label(source: &Path, clusters: u32) -> Request {
    let mut request = request(source);
    request.parameters.by_label = true;
    request.parameters.clusters = Some(Clusters::Fixed(clusters));
    request
}

fn floats(store: &Store, job: &JobRecord, column: Column) -> Vec<f32> {
    let values = store.column(job.version.unwrap(), column, job.sample_count);
    values
        .unwrap()
        .into_iter()
        .map(f32::from_le_bytes)
        .collect()
}

fn clusters(store: &Store, job: &JobRecord) -> Vec<u32> {
    let values = store.column(job.version.unwrap(), Column::Cluster, job.sample_count);
    values
        .unwrap()
        .into_iter()
        .map(u32::from_le_bytes)
        .collect()
}

/// What the extractor makes of the usable samples.
fn features() -> Array2<f32> {
    let usable = (0..SAMPLES).filter(|i| !BROKEN.contains(i));
    let image = |i: usize| Ok(format!("{} {i}", i % 3).into_bytes().into());
    let mut features = Vec::new();
    let sink = &mut |_, row: Result<&[f32], String>| {
        features.extend_from_slice(row.unwrap());
        ControlFlow::Continue(())
    };
    let mut extractor = CountingExtractor::default();
    extractor
        .extract(&mut usable.into_iter(), &image, sink)
        .unwrap();
    Array2::from_shape_vec((features.len() / 4, 4), features).unwrap()
}

#[test]
fn a_job_is_the_method_on_its_features() {
    let (source, _files) = source_with(|i| BROKEN.contains(&i));
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let mut request = request(&source);
    request.parameters.clusters = Some(Clusters::OneOf(vec![4, 3]));
    request.parameters.seed = 5;
    request.parameters.min_cluster_size = Some(20);
    request.parameters.normalization = Normalization::ClusterRank;
    request.parameters.score = Score::Neighbours;
    let versions = [FeatureNormalization::Standard, FeatureNormalization::None].map(|features| {
        request.parameters.feature_normalization = features;
        let job = run(&pipeline, &request);
        assert_eq!(job.state, JobState::Succeeded);
        check_against_the_method(&store, &job, features);
        job.version
    });
    assert_ne!(versions[0], versions[1]);
}

fn check_against_the_method(
    store: &Arc<Store>,
    job: &JobRecord,
    feature_normalization: FeatureNormalization,
) {
    let options = fit::Options {
        clusters: KMeansClusters::OneOf(vec![3, 4]),
        seed: 5,
        min_cluster_size: 20,
        normalization: Normalization::ClusterRank,
        score: curriculum_clustering::Score::Neighbours,
        feature_normalization,
    };
    let rows = features();
    let observer = &mut |_| ControlFlow::Continue(());
    let fitted = fit::fit(&rows.view(), None, &options, observer).unwrap();
    let (difficulty, distance) = (
        floats(store, job, Column::Difficulty),
        floats(store, job, Column::Distance),
    );
    let cluster = clusters(store, job);
    let mut row = 0;
    for index in 0..SAMPLES {
        if BROKEN.contains(&index) {
            assert_eq!((difficulty[index], cluster[index]), (1.0, u32::MAX));
            assert!(distance[index].is_nan());
            continue;
        }
        assert_eq!(difficulty[index], fitted.difficulty[row]);
        assert_eq!(distance[index], fitted.distance[row]);
        assert_eq!(cluster[index], fitted.cluster[row]);
        row += 1;
    }
    let version = store.version(job.version.unwrap()).unwrap().unwrap();
    assert_eq!(version.summary.candidates.len(), 2);
    assert_eq!(version.summary.davies_bouldin, fitted.davies_bouldin);
    assert_eq!(version.summary.failed_count, BROKEN.len() as u64);
}

#[test]
fn by_label_clusters_lie_inside_classes() {
    let (source, _files) = source_with(|i| BROKEN.contains(&i));
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let job = run(&pipeline, &request_by_label(&source, 2));
    assert_eq!(
        (&job.state, &job.warnings[..]),
        (&JobState::Succeeded, &[][..])
    );
    let version = store.version(job.version.unwrap()).unwrap().unwrap();
    let labels: Vec<String> = version
        .summary
        .clusters
        .iter()
        .map(|cluster| cluster.label.clone().unwrap())
        .collect();
    assert_eq!(labels.len(), 6);
    assert_eq!(version.summary.davies_bouldin, None);
    let difficulty = floats(&store, &job, Column::Difficulty);
    let cluster = clusters(&store, &job);
    let mut ends = [(f32::MAX, f32::MIN); 3];
    for index in (0..SAMPLES).filter(|i| !BROKEN.contains(i)) {
        let class = index % 3;
        assert_eq!(labels[cluster[index] as usize], class.to_string());
        let (low, high) = &mut ends[class];
        *low = low.min(difficulty[index]);
        *high = high.max(difficulty[index]);
    }
    // Each class has a range of its own, of which its clusters share the ends.
    assert_eq!(ends, [(0.0, 1.0); 3]);
    let again = run(&pipeline, &request_by_label(&source, 3));
    assert_ne!(again.version, job.version);
}

#[test]
fn by_label_needs_a_label_on_every_sample() {
    let (source, _files) = source();
    let lines = fs::read_to_string(&source).unwrap();
    let unlabelled = lines.replace(r#""path":"41.png","label":"2""#, r#""path":"41.png""#);
    assert_ne!(lines, unlabelled);
    fs::write(&source, unlabelled).unwrap();
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let Err(PipelineError::Invalid { field, reason }) =
        pipeline.submit(&request_by_label(&source, 2))
    else {
        panic!("accepted");
    };
    assert_eq!(field, "parameters.by_label");
    assert!(reason.contains("sample 41 (`s41`)"), "{reason}");
    assert_eq!(run(&pipeline, &request(&source)).state, JobState::Succeeded);
}

/// A class of three samples among the others.
fn with_small_class(source: &Path) {
    let mut lines = fs::read_to_string(source).unwrap();
    for index in [30, 33, 36] {
        let path = format!(r#""path":"{index}.png","label":"#);
        lines = lines.replace(&format!(r#"{path}"0""#), &format!(r#"{path}"rare""#));
    }
    fs::write(source, lines).unwrap();
}

#[test]
fn small_classes_are_hardest_and_every_job_of_the_version_warns() {
    let (source, _files) = source();
    with_small_class(&source);
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let job = run(&pipeline, &request_by_label(&source, 4));
    assert_eq!(job.warnings.len(), 1);
    assert!(job.warnings[0].contains("`rare`"), "{:?}", job.warnings);
    let difficulty = floats(&store, &job, Column::Difficulty);
    assert_eq!([30, 33, 36].map(|index: usize| difficulty[index]), [1.0; 3]);
    let version = store.version(job.version.unwrap()).unwrap().unwrap();
    assert_eq!(version.summary.warnings, job.warnings);

    let other_name = Request {
        curriculum: "d".to_owned(),
        ..request_by_label(&source, 4)
    };
    let other = run(&pipeline, &other_name);
    assert_eq!((other.version, other.warnings), (job.version, job.warnings));
}

#[test]
fn a_stop_while_fitting_by_label_changes_nothing() {
    let (source, _files) = source_with(|i| BROKEN.contains(&i));
    with_small_class(&source);
    let undisturbed = {
        let (store, _folder) = store();
        let pipeline = pipeline(&store, CountingExtractor::default());
        let job = run(&pipeline, &request_by_label(&source, 4));
        (bytes(&store, &job), job.warnings)
    };
    for reports in [1, 2, 3, 5] {
        let (store, folder) = store();
        let first = pipeline(&store, CountingExtractor::default());
        let submitted = first.submit(&request_by_label(&source, 4)).unwrap();
        let mut seen = 0;
        wait_until(first.watch(submitted.job.record.id).unwrap(), |view| {
            seen += usize::from(view.record.stage >= Stage::Extracted);
            seen >= reports
        });
        first.stop();
        drop((first, store));
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let job = wait(&pipeline(&store, CountingExtractor::default()), &submitted);
        assert_eq!((bytes(&store, &job), job.warnings), undisturbed);
    }
}

#[test]
fn features_that_are_not_finite_name_the_sample() {
    struct Overflowing;
    impl FeatureExtractor for Overflowing {
        fn model(&self) -> &str {
            "overflowing"
        }
        fn digest(&self) -> Digest {
            [3; 32].into()
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
            let overflow = &mut |index, row: Result<&[f32], String>| {
                let overflows = read(index).is_ok_and(|image| image.as_ref() == b"0 600");
                match row {
                    Ok([first, _, rest @ ..]) if overflows => {
                        sink(index, Ok(&[&[*first, f32::INFINITY], rest].concat()))
                    }
                    row => sink(index, row),
                }
            };
            CountingExtractor::default().extract(samples, read, overflow)
        }
    }
    let (source, _files) = source_with(|i| BROKEN.contains(&i));
    let (store, _folder) = store();
    let pipeline = start(&store, Overflowing);
    let job = run(&pipeline, &request(&source));
    let JobState::Failed { stage, reason } = &job.state else {
        panic!("{:?}", job.state)
    };
    assert_eq!(*stage, Stage::Clustered);
    assert!(reason.contains("sample 600 (`s600`)"), "{reason}");
}
