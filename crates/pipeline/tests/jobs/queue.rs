//! Which job is next, what a cancelled one leaves behind, and what is asked for again.

use crate::support::*;
use curriculum_manifest::ManifestError;
use curriculum_pipeline::{
    Page, Pipeline, PipelineError, PipelineOptions, Request, RequestedParameters,
};
use curriculum_store::{Clusters, JobRecord, JobState, Stage};
use std::{fs, ops::ControlFlow, sync::Arc};

fn named(source: &std::path::Path, curriculum: &str, priority: i32) -> Request {
    Request {
        curriculum: curriculum.to_owned(),
        priority,
        ..request(source)
    }
}

#[test]
fn the_most_urgent_job_is_next_and_of_equals_the_oldest() {
    let ((a, _a), (b, _b)) = (source(), source_with(|i| i == 3));
    let (store, _folder) = store();
    let (pipeline, open) = gated_pipeline(&store);
    let submit = |request: &Request| pipeline.submit(request).unwrap();
    // The first is at work before the others come.
    let first = submit(&named(&a, "first", 0));
    wait_until(pipeline.watch(first.job.record.id).unwrap(), |view| {
        view.record.stage == Stage::Enumerated
    });
    let usual = submit(&named(&b, "usual", 0));
    let low = submit(&named(&b, "low", -1));
    let urgent = submit(&named(&b, "urgent", 7));
    let raised = submit(&named(&b, "raised", -5));
    let again = submit(&named(&b, "raised", 9));
    assert!(!again.queued);
    assert_eq!(again.job.record.priority, 9);
    drop(open);
    let ended: Vec<JobRecord> = [&raised, &urgent, &usual, &low]
        .map(|job| wait(&pipeline, job))
        .into();
    assert!(ended.iter().all(|job| job.state == JobState::Succeeded));
    let ends: Vec<_> = ended.iter().map(|job| job.ended_at_ms).collect();
    assert!(ends.is_sorted(), "{ends:?}");
}

/// Rows as NumPy writes them.
fn npy(rows: &[[f32; 2]]) -> Vec<u8> {
    let shape = format!("({}, 2)", rows.len());
    let fields = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{fields:<117}\n").into_bytes());
    bytes.extend(rows.iter().flatten().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn jobs_on_images_wait_for_the_model() {
    let ((source, _files), (other, _others)) = (source(), source_with(|i| i == 3));
    let (store, _folder) = store();
    let start = || Pipeline::start(Arc::clone(&store), PipelineOptions::default()).unwrap();
    let pipeline = start();
    let early = pipeline.submit(&request(&source));
    assert!(matches!(early, Err(PipelineError::ModelNotReady)));
    pipeline.lack_model("no such device".to_owned());
    let refused = pipeline.submit(&request(&source)).unwrap_err();
    assert!(refused.to_string().contains("no such device"), "{refused}");
    pipeline.provide(Box::new(CountingExtractor::default()));
    let job = run(&pipeline, &request(&source));
    assert_eq!(job.state, JobState::Succeeded);
    drop(pipeline);

    // What was in the queue when an earlier server ended.
    let queued = JobRecord {
        state: JobState::Queued,
        stage: Stage::Submitted,
        ..job
    };
    store.put_job(&queued).unwrap();
    let pipeline = start();
    pipeline.lack_model("no such device".to_owned());
    let features = other.with_extension("npy");
    fs::write(
        &features,
        npy(&[[0.0, 1.0], [1.0, 0.5], [0.5, 0.0], [2.0, 2.5]]),
    )
    .unwrap();
    let features = Request {
        curriculum: "features".to_owned(),
        parameters: RequestedParameters {
            clusters: Some(Clusters::Fixed(2)),
            ..Default::default()
        },
        ..request(&features)
    };
    assert_eq!(run(&pipeline, &features).state, JobState::Succeeded);
    let views = pipeline.watch(queued.id).unwrap();
    assert_eq!(views.borrow().record.state, JobState::Queued);
    pipeline.provide(Box::new(CountingExtractor::default()));
    assert_eq!(wait_until(views, |_| false).state, JobState::Succeeded);
}

#[test]
fn a_running_job_is_cancelled_at_once_and_its_resubmission_is_queued() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let (pipeline, open) = gated_pipeline(&store);
    let running = pipeline.submit(&request(&source)).unwrap();
    let id = running.job.record.id;
    wait_until(pipeline.watch(id).unwrap(), |view| {
        view.record.stage == Stage::Enumerated
    });
    // The extractor hangs in its first block, and still the job has ended.
    let watcher = pipeline.watch(id).unwrap();
    assert_eq!(
        pipeline.cancel(id).unwrap().record.state,
        JobState::Cancelled
    );
    assert_eq!(wait_until(watcher, |_| false).state, JobState::Cancelled);
    assert!(matches!(pipeline.cancel(id), Err(PipelineError::Ended(_))));

    let again = pipeline.submit(&request(&source)).unwrap();
    assert!(again.queued);
    assert_eq!(again.job.record.attempt, 2);
    drop(open);
    assert_eq!(wait(&pipeline, &again).state, JobState::Succeeded);
    assert_eq!(store.job(id).unwrap().unwrap().state, JobState::Succeeded);
}

#[test]
fn force_makes_a_version_of_its_own_from_the_same_features() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let counts = Counts::default();
    let extractor = CountingExtractor {
        counts: counts.clone(),
        ..Default::default()
    };
    let pipeline = pipeline(&store, extractor);
    let first = run(&pipeline, &request(&source));
    let forced = Request {
        force: true,
        ..request(&source)
    };
    let jobs = [run(&pipeline, &forced), run(&pipeline, &forced)];
    for job in &jobs {
        assert_eq!(job.state, JobState::Succeeded);
        assert_eq!(bytes(&store, job), bytes(&store, &first));
    }
    let mut versions = vec![first.version, jobs[0].version, jobs[1].version];
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 3);
    assert_eq!(counts.lock().unwrap().values().sum::<usize>(), SAMPLES);
    assert_eq!(run(&pipeline, &request(&source)).id, first.id);
}

#[test]
fn jobs_and_errors_come_in_pages() {
    let (source, _files) = source_with(|i| i % 300 == 7);
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let ids = ["a", "b", "c"].map(|name| run(&pipeline, &named(&source, name, 0)).id);
    let page = |after| {
        let views = pipeline.jobs(Page { after, limit: 2 }).unwrap();
        let jobs = views
            .iter()
            .map(|view| (view.record.id, view.record.sequence));
        jobs.collect::<Vec<_>>()
    };
    let first = page(None);
    assert_eq!([first[0].0, first[1].0], [ids[2], ids[1]]);
    let second = page(Some(first[1].1));
    assert_eq!(second, [(ids[0], 0)]);
    let newest = |pipeline: &Pipeline, name| {
        let job = pipeline.newest_job_of(name).unwrap();
        job.map(|view| (view.record.id, view.record.state))
    };
    assert_eq!(newest(&pipeline, "absent"), None);
    let reopened = self::pipeline(&store, CountingExtractor::default());
    for pipeline in [&pipeline, &reopened] {
        assert_eq!(newest(pipeline, "b"), Some((ids[1], JobState::Succeeded)));
    }

    let errors = |after, limit| {
        let errors = pipeline.sample_errors(ids[0], after, limit).unwrap();
        errors
            .into_iter()
            .map(|e| (e.index, e.id))
            .collect::<Vec<_>>()
    };
    let id = |index: u64| (index, format!("s{index}"));
    assert_eq!(errors(None, 2), [id(7), id(307)]);
    assert_eq!(errors(Some(307), 2), [id(607)]);
    let unknown = pipeline.sample_errors([1; 32].into(), None, 2);
    assert!(matches!(unknown, Err(PipelineError::UnknownJob(_))));
}

#[test]
fn watchers_see_rate_time_left_and_the_last_errors() {
    let (source, _files) = source_with(|i| i % 100 == 99);
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let submitted = pipeline.submit(&request(&source)).unwrap();
    let (mut measured, mut recent) = (0, Vec::new());
    wait_until(pipeline.watch(submitted.job.record.id).unwrap(), |view| {
        if let Some(progress) = &view.progress
            && progress.rate > 0.0
        {
            assert!(progress.eta_seconds.is_none_or(|seconds| seconds >= 0.0));
            measured += usize::from(progress.eta_seconds.is_some());
        }
        recent.clone_from(&view.recent_errors);
        false
    });
    assert!(measured > 0);
    let last: Vec<u64> = recent.iter().map(|error| error.index).collect();
    assert_eq!(last, [499, 599, 699, 799, 899]);
    assert_eq!(recent[0].id, "s499");
}

#[test]
fn a_listing_that_is_broken_off_leaves_no_job() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let stopped = pipeline.submit_while(&request(&source), &mut || ControlFlow::Break(()));
    assert!(matches!(
        stopped,
        Err(PipelineError::Source(ManifestError::Interrupted))
    ));
    let all = Page {
        after: None,
        limit: usize::MAX,
    };
    assert!(pipeline.jobs(all).unwrap().is_empty());
    assert_eq!(run(&pipeline, &request(&source)).state, JobState::Succeeded);
}
