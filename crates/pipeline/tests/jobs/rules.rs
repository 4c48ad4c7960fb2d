//! Equal work is done once; failures and requests to stop end a job as they should.

use crate::support::*;
use curriculum_extractor::{Read, Sink};
use curriculum_pipeline::{PipelineError, Request};
use curriculum_store::{Clusters, Column, JobState, Stage};
use std::{fs, sync::Arc};

#[test]
fn equal_submissions_are_one_job() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let job = run(&pipeline, &request(&source));
    let again = pipeline.submit(&request(&source)).unwrap();
    assert!(!again.queued);
    assert_eq!(again.job.record, job);
    assert_eq!(
        store.curriculum("c").unwrap().unwrap().versions,
        [job.version.unwrap()]
    );
}

#[test]
fn features_are_shared_between_jobs_and_versions_between_names() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let counts = Counts::default();
    let pipeline = pipeline(
        &store,
        CountingExtractor {
            counts: Arc::clone(&counts),
            ..Default::default()
        },
    );
    let first = run(&pipeline, &request(&source));
    let other_name = run(
        &pipeline,
        &Request {
            curriculum: "d".to_owned(),
            ..request(&source)
        },
    );
    assert_ne!(first.id, other_name.id);
    assert_eq!(first.version, other_name.version);
    let mut refit = request(&source);
    refit.parameters.clusters = Some(Clusters::Fixed(4));
    let refit = run(&pipeline, &refit);
    assert_ne!(first.version, refit.version);
    assert_eq!(counts.lock().unwrap().values().sum::<usize>(), SAMPLES);
    assert_eq!(
        store.curriculum("c").unwrap().unwrap().versions,
        [refit.version.unwrap(), first.version.unwrap()]
    );
}

#[test]
fn equal_content_elsewhere_is_the_same_version() {
    let ((here, _a), (there, _b)) = (source(), source());
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let (first, second) = (
        run(&pipeline, &request(&here)),
        run(&pipeline, &request(&there)),
    );
    assert_ne!(first.id, second.id);
    assert_eq!(first.version, second.version);
}

#[test]
fn broken_samples_are_listed_and_hardest() {
    let (source, _files) = source_with(|i| i % 300 == 7);
    let (store, _folder) = store();
    let job = run(
        &pipeline(&store, CountingExtractor::default()),
        &request(&source),
    );
    assert_eq!((&job.state, job.failed_count), (&JobState::Succeeded, 3));
    let errors = store.job_errors(job.id, None, 10).unwrap();
    assert_eq!(
        errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        [7, 307, 607]
    );
    assert!(errors[0].1.contains("not an image"));
    let value = |column, index: usize| {
        store
            .column(job.version.unwrap(), column, SAMPLES as u64)
            .unwrap()[index]
    };
    assert_eq!(f32::from_le_bytes(value(Column::Difficulty, 307)), 1.0);
    assert_eq!(u32::from_le_bytes(value(Column::Cluster, 307)), u32::MAX);
}

#[test]
fn too_many_broken_samples_end_the_job() {
    let (source, _files) = source_with(|i| i % 10 == 0);
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let job = run(&pipeline, &request(&source));
    let JobState::Failed {
        stage: Stage::Extracted,
        reason,
    } = &job.state
    else {
        panic!("{:?}", job.state)
    };
    assert!(
        reason.contains("max_failed_fraction") && reason.contains("s0"),
        "{reason}"
    );
    assert!(store.curriculum("c").unwrap().is_none());
    let mut tolerant = request(&source);
    tolerant.parameters.max_failed_fraction = Some(0.1);
    assert_eq!(run(&pipeline, &tolerant).state, JobState::Succeeded);
}

#[test]
fn a_file_that_is_gone_is_a_broken_sample() {
    let (source, files) = source();
    fs::remove_file(files.path().join("5.png")).unwrap();
    let (store, _folder) = store();
    let job = run(
        &pipeline(&store, CountingExtractor::default()),
        &request(&source),
    );
    assert_eq!((&job.state, job.failed_count), (&JobState::Succeeded, 1));
    assert!(
        store.job_errors(job.id, None, 1).unwrap()[0]
            .1
            .contains("5.png")
    );
}

#[test]
fn a_source_that_changes_while_the_job_waits_fails_it() {
    let ((first, _a), (second, files)) = (source(), source());
    let (store, _folder) = store();
    let (pipeline, open) = gated_pipeline(&store);
    pipeline.submit(&request(&first)).unwrap();
    let waiting = pipeline.submit(&request(&second)).unwrap();
    fs::write(files.path().join("3.png"), "another length").unwrap();
    drop(open);
    let job = wait(&pipeline, &waiting);
    assert!(
        matches!(&job.state, JobState::Failed { reason, .. } if reason.contains("changed")),
        "{:?}",
        job.state
    );
}

#[test]
fn running_and_waiting_jobs_can_be_cancelled_and_taken_up_again() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let (pipeline, open) = gated_pipeline(&store);
    let running = pipeline.submit(&request(&source)).unwrap();
    let waiting = pipeline
        .submit(&Request {
            curriculum: "d".to_owned(),
            ..request(&source)
        })
        .unwrap();
    assert_eq!(
        pipeline.cancel(waiting.job.record.id).unwrap().record.state,
        JobState::Cancelled
    );
    assert!(matches!(
        pipeline.cancel(waiting.job.record.id),
        Err(PipelineError::Ended(_))
    ));

    let at_work = |view: &curriculum_pipeline::JobView| view.record.stage == Stage::Enumerated;
    wait_until(pipeline.watch(running.job.record.id).unwrap(), at_work);
    pipeline.cancel(running.job.record.id).unwrap();
    for _ in 0..4 {
        open.send(()).unwrap();
    }
    assert_eq!(wait(&pipeline, &running).state, JobState::Cancelled);

    drop(open);
    assert_eq!(run(&pipeline, &request(&source)).state, JobState::Succeeded);
}

#[test]
fn a_stopped_pipeline_takes_no_more_jobs() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    pipeline.stop();
    assert!(matches!(
        pipeline.submit(&request(&source)),
        Err(PipelineError::Stopping)
    ));
}

#[test]
fn a_panic_in_the_extractor_fails_one_job_only() {
    struct Panics(bool);
    impl curriculum_pipeline::FeatureExtractor for Panics {
        fn model(&self) -> &str {
            "panics"
        }
        fn digest(&self) -> curriculum_store::Digest {
            [1; 32].into()
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
            assert!(std::mem::replace(&mut self.0, true), "first call");
            CountingExtractor::default().extract(samples, read, sink)
        }
    }
    let (source, _files) = source();
    let (store, _folder) = store();
    let pipeline = start(&store, Panics(false));
    assert!(matches!(
        run(&pipeline, &request(&source)).state,
        JobState::Failed { .. }
    ));
    assert_eq!(run(&pipeline, &request(&source)).state, JobState::Succeeded);
}

#[test]
fn a_source_that_is_away_for_a_while_fails_the_job_and_not_its_samples() {
    let (source, files) = source();
    let (store, _folder) = store();
    let (pipeline, open) = gated_pipeline(&store);
    let submitted = pipeline.submit(&request(&source)).unwrap();
    let at_work = |view: &curriculum_pipeline::JobView| view.record.stage == Stage::Enumerated;
    wait_until(pipeline.watch(submitted.job.record.id).unwrap(), at_work);
    let (here, away) = (files.path().join("899.png"), files.path().join("away"));
    fs::rename(&here, &away).unwrap();
    drop(open);
    let failed = wait(&pipeline, &submitted);
    assert!(matches!(&failed.state, JobState::Failed { reason, .. } if reason.contains("899.png")));
    fs::rename(&away, &here).unwrap();
    let job = run(&pipeline, &request(&source));
    assert_eq!((&job.state, job.failed_count), (&JobState::Succeeded, 0));
}

#[test]
fn a_version_that_exists_does_not_excuse_its_failed_samples() {
    let (source, _files) = source_with(|i| i % 100 == 7);
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let job = |name: &str, tolerated| {
        let mut request = Request {
            curriculum: name.to_owned(),
            ..request(&source)
        };
        request.parameters.max_failed_fraction = Some(tolerated);
        run(&pipeline, &request)
    };
    assert_eq!(job("a", 0.5).state, JobState::Succeeded);
    assert!(matches!(job("b", 0.0).state, JobState::Failed { .. }));
    let tolerant = job("c", 0.4);
    assert_eq!(
        (&tolerant.state, tolerant.failed_count),
        (&JobState::Succeeded, 9)
    );
    assert_eq!(store.job_errors(tolerant.id, None, 20).unwrap().len(), 9);
}

#[test]
fn asking_again_for_an_older_version_makes_it_the_newest() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let first = run(&pipeline, &request(&source));
    let mut refit = request(&source);
    refit.parameters.clusters = Some(Clusters::Fixed(4));
    run(&pipeline, &refit);
    assert!(!pipeline.submit(&request(&source)).unwrap().queued);
    assert_eq!(
        store.curriculum("c").unwrap().unwrap().versions[0],
        first.version.unwrap()
    );
}
