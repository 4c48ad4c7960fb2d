//! Finished clusterings go straight to difficulty; what else decides which version is made and kept.

use crate::support::*;
use curriculum::features::FeatureNormalization;
use curriculum_manifest::Source;
use curriculum_pipeline::{Pipeline, PipelineError, PipelineOptions, Request};
use curriculum_store::{Clusters, Column, Identity, JobRecord, JobState, Score, Store};
use parquet::{
    data_type::{DataType, FloatType, Int32Type, Int64Type},
    file::writer::{SerializedFileWriter, SerializedRowGroupWriter},
    schema::parser::parse_message_type,
};
use std::{fs, path::Path, sync::Arc};

const NEMO: &str = "message m { required int64 id; required int32 centroid;
    required float l2_dist_to_cent; required float cosine_dist_to_cent; }";

type Row = (i64, i32, f32, f32);

/// What NeMo Curator's k-means writes.
fn parquet(path: &Path, rows: &[Row]) {
    let schema = Arc::new(parse_message_type(NEMO).unwrap());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = file.next_row_group().unwrap();
    put::<Int64Type>(&mut group, rows.iter().map(|row| row.0).collect());
    put::<Int32Type>(&mut group, rows.iter().map(|row| row.1).collect());
    put::<FloatType>(&mut group, rows.iter().map(|row| row.2).collect());
    put::<FloatType>(&mut group, rows.iter().map(|row| row.3).collect());
    group.close().unwrap();
    fs::write(path, file.into_inner().unwrap()).unwrap();
}

fn put<T: DataType>(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, values: Vec<T::T>) {
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<T>()
        .write_batch(&values, None, None)
        .unwrap();
    column.close().unwrap();
}

fn nemo(path: &Path) -> Request {
    let mut request = Request {
        source: Source::new(path.to_str().unwrap()),
        ..request(path)
    };
    request.parameters.clusters = None;
    request
}

fn floats(store: &Store, job: &JobRecord, column: Column) -> Vec<f32> {
    assert_eq!(job.state, JobState::Succeeded);
    let values = store.column(job.version.unwrap(), column, job.sample_count);
    values
        .unwrap()
        .into_iter()
        .map(f32::from_le_bytes)
        .collect()
}

#[test]
fn finished_clusters_go_straight_to_difficulty_and_can_be_extended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clusters.parquet");
    let rows: [Row; 5] = [
        (10, 0, 1.0, 0.1),
        (11, 0, 3.0, 0.5),
        (12, 2, 4.0, 0.2),
        (13, 2, 8.0, 0.4),
        (14, 2, 5.0, 0.4),
    ];
    parquet(&path, &rows);
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let job = run(&pipeline, &nemo(&path));
    assert_eq!(
        floats(&store, &job, Column::Difficulty),
        [0.0, 1.0, 0.0, 1.0, 0.25]
    );
    assert_eq!(
        floats(&store, &job, Column::Distance),
        [1.0, 3.0, 4.0, 8.0, 5.0]
    );
    let version = store.version(job.version.unwrap()).unwrap().unwrap();
    let sizes: Vec<u64> = version.summary.clusters.iter().map(|c| c.size).collect();
    assert_eq!((sizes, &*version.model), (vec![2, 0, 3], "assignments"));
    let mut cosine = nemo(&path);
    cosine.parameters.score = Score::Cosine;
    let cosine = run(&pipeline, &cosine);
    assert_eq!(
        floats(&store, &cosine, Column::Difficulty),
        [0.0, 1.0, 0.0, 1.0, 1.0]
    );

    let more = folder.path().join("more.parquet");
    parquet(
        &more,
        &[&[(9, 0, 2.0, 0.3), (8, 2, 99.0, 0.9)], &rows[1..]].concat(),
    );
    let extended = Request {
        extend: job.version,
        ..nemo(&more)
    };
    let extended = run(&pipeline, &extended);
    let expected = [0.5, 1.0, 1.0, 0.0, 1.0, 0.25];
    assert_eq!(floats(&store, &extended, Column::Difficulty), expected);
    let version = store.version(extended.version.unwrap()).unwrap().unwrap();
    let drift = version.summary.drift.unwrap();
    assert_eq!((drift.kept, drift.added, drift.beyond), (4, 2, 1));

    let mut fitted = nemo(&path);
    fitted.parameters.clusters = Some(Clusters::Fixed(2));
    assert!(matches!(
        pipeline.submit(&fitted),
        Err(PipelineError::Invalid {
            field: "parameters.clusters",
            ..
        })
    ));
    let mut raw = nemo(&path);
    raw.parameters.feature_normalization = FeatureNormalization::None;
    assert!(matches!(
        pipeline.submit(&raw),
        Err(PipelineError::Invalid {
            field: "parameters.feature_normalization",
            ..
        })
    ));
}

#[test]
fn local_files_have_no_etag_and_give_the_same_version() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let by_bytes = run(&pipeline, &request(&source));
    let by_etag = Request {
        identity: Identity::Etag,
        ..request(&source)
    };
    let by_etag = run(&pipeline, &by_etag);
    assert_ne!(by_etag.id, by_bytes.id);
    assert_eq!(by_etag.version, by_bytes.version);
}

#[test]
fn publication_drops_what_the_policy_does_not_keep() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let options = PipelineOptions {
        keep_versions: Some(2),
        ..PipelineOptions::default()
    };
    let pipeline = Pipeline::start(Arc::clone(&store), options).unwrap();
    pipeline.provide(Box::new(CountingExtractor::default()));
    let versions: Vec<_> = [2, 3, 4, 5]
        .map(|clusters| {
            let mut request = request(&source);
            request.parameters.clusters = Some(Clusters::Fixed(clusters));
            let version = run(&pipeline, &request).version.unwrap();
            if clusters == 2 {
                store.promote("c", "prod", version).unwrap();
            }
            version
        })
        .into();
    let kept = store.curriculum("c").unwrap().unwrap().versions;
    assert_eq!(kept, [versions[3], versions[2], versions[0]]);
    assert!(store.version(versions[1]).unwrap().is_none());
    // Asked for again, a version that was dropped is made again.
    let mut dropped = request(&source);
    dropped.parameters.clusters = Some(Clusters::Fixed(3));
    let again = run(&pipeline, &dropped);
    assert_eq!((again.version, again.attempt), (Some(versions[1]), 2));
    let newest = store.curriculum("c").unwrap().unwrap().latest();
    assert_eq!(newest, Some(versions[1]));
}
