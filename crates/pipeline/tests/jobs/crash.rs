//! The process dies at each commit point, by name, and the job ends as if it had not.

use crate::support::*;
use curriculum_pipeline::{CommitPoint, Hook, Pipeline, PipelineOptions};
use curriculum_store::{Clusters, JobState, Stage, Store, StoreOptions};
use std::{
    env, fs,
    path::Path,
    process::Command,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Where a child process works, and the commit point at which it dies.
const DATA: &str = "CURRICULUM_TEST_CRASH_DATA";
const SOURCE: &str = "CURRICULUM_TEST_CRASH_SOURCE";
const AT: &str = "CURRICULUM_TEST_CRASH_AT";

fn hooked(store: &Arc<Store>, counts: &Counts, hook: Hook) -> Pipeline {
    let extractor = CountingExtractor {
        counts: Arc::clone(counts),
        ..Default::default()
    };
    let options = PipelineOptions {
        hook,
        ..PipelineOptions::default()
    };
    let pipeline = Pipeline::start(Arc::clone(store), options).unwrap();
    pipeline.provide(Box::new(extractor));
    pipeline
}

/// Not a test of its own: what the next one starts as a process.
#[test]
fn child() {
    let (Ok(data), Ok(source), Ok(at)) = (env::var(DATA), env::var(SOURCE), env::var(AT)) else {
        return;
    };
    let store = Arc::new(Store::open(Path::new(&data)).unwrap());
    let (counts, reached) = (Counts::default(), AtomicUsize::new(0));
    let at: usize = at.parse().unwrap();
    let (seen, log) = (Arc::clone(&counts), Path::new(&data).join("extracted"));
    let hook = Hook::new(move |_| {
        if reached.fetch_add(1, Ordering::Relaxed) == at {
            let texts: Vec<String> = seen.lock().unwrap().keys().cloned().collect();
            fs::write(&log, texts.join("\n")).unwrap();
            std::process::abort();
        }
    });
    run(&hooked(&store, &counts, hook), &request(Path::new(&source)));
    panic!("ran through");
}

#[test]
fn a_kill_at_any_commit_point_changes_nothing() {
    let (source, _files) = source();
    let points = Arc::new(Mutex::new(Vec::new()));
    let expected = {
        let (store, _folder) = store();
        let seen = Arc::clone(&points);
        let hook = Hook::new(move |point| seen.lock().unwrap().push(point));
        let job = run(&hooked(&store, &Counts::default(), hook), &request(&source));
        assert_eq!(job.state, JobState::Succeeded);
        bytes(&store, &job)
    };
    let points = points.lock().unwrap().clone();
    assert!(points.contains(&CommitPoint::Samples(0)), "{points:?}");
    assert!(points.contains(&CommitPoint::Features(3)), "{points:?}");
    assert!(
        points.contains(&CommitPoint::Record(Stage::Published)),
        "{points:?}"
    );
    for (at, point) in points.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let status = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::child"])
            .env(DATA, folder.path())
            .env(SOURCE, &source)
            .env(AT, at.to_string())
            .output()
            .unwrap()
            .status;
        assert_eq!(status.code(), None, "the child was not killed at {point:?}");
        let before = fs::read_to_string(folder.path().join("extracted")).unwrap();
        let before: Vec<&str> = before.lines().collect();

        let store = Arc::new(Store::open(folder.path()).unwrap());
        let counts = Counts::default();
        let pipeline = hooked(&store, &counts, Hook::default());
        let submitted = pipeline.submit(&request(&source)).unwrap();
        let job = wait(&pipeline, &submitted);
        assert_eq!(job.state, JobState::Succeeded, "{point:?}");
        assert_eq!(bytes(&store, &job), expected, "{point:?}");
        let after = counts.lock().unwrap();
        let twice = before.iter().filter(|text| after.contains_key(**text));
        assert_eq!(twice.count(), 0, "{point:?}");
        assert_eq!(before.len() + after.len(), SAMPLES, "{point:?}");
    }
}

/// Whether a thread has arrived, and whether it may go on.
type Gate = (Mutex<(bool, bool)>, Condvar);

/// A hook that holds the first thread at a point until it is let go.
fn gate(at: CommitPoint) -> (Hook, Arc<Gate>) {
    let state = Arc::new((Mutex::new((false, false)), Condvar::new()));
    let shared = Arc::clone(&state);
    let hook = Hook::new(move |point| {
        let (lock, wake) = &*shared;
        let mut state = lock.lock().unwrap();
        if point == at && !state.0 {
            state.0 = true;
            wake.notify_all();
            while !state.1 {
                state = wake.wait(state).unwrap();
            }
        }
    });
    (hook, state)
}

fn await_arrival((lock, wake): &Gate) {
    let mut state = lock.lock().unwrap();
    while !state.0 {
        state = wake.wait(state).unwrap();
    }
}

fn let_go((lock, wake): &Gate) {
    lock.lock().unwrap().1 = true;
    wake.notify_all();
}

#[test]
fn one_job_is_clustered_beside_the_extraction_of_the_next() {
    let ((first, _a), (second, _b)) = (source(), source_with(|i| i == 5));
    let (store, _folder) = store();
    let (hook, state) = gate(CommitPoint::Data(Stage::Clustered));
    let pipeline = hooked(&store, &Counts::default(), hook);
    let a = pipeline.submit(&request(&first)).unwrap();
    await_arrival(&state);
    // The first is held in its clustering; the second is extracted meanwhile, and waits.
    let b = pipeline.submit(&request(&second)).unwrap();
    let id = b.job.record.id;
    wait_until(pipeline.watch(id).unwrap(), |view| {
        view.record.stage == Stage::Extracted && view.record.state == JobState::Queued
    });
    assert_eq!(
        pipeline.job(a.job.record.id).unwrap().record.stage,
        Stage::Extracted
    );
    let_go(&state);
    for job in [&a, &b] {
        assert_eq!(wait(&pipeline, job).state, JobState::Succeeded);
    }
}

#[test]
fn a_job_can_be_cancelled_in_every_stage_and_taken_up_again_at_once() {
    let (source, _files) = source();
    let expected = {
        let (store, _folder) = store();
        let job = run(
            &pipeline(&store, CountingExtractor::default()),
            &request(&source),
        );
        bytes(&store, &job)
    };
    for point in [
        CommitPoint::Samples(0),
        CommitPoint::Features(1),
        CommitPoint::Data(Stage::Extracted),
        CommitPoint::Data(Stage::Clustered),
        CommitPoint::Data(Stage::Scored),
    ] {
        let (store, _folder) = store();
        let (hook, state) = gate(point);
        let counts = Counts::default();
        let pipeline = hooked(&store, &counts, hook);
        let submitted = pipeline.submit(&request(&source)).unwrap();
        await_arrival(&state);
        // The stage is held, and still the job has ended.
        let cancelled = pipeline.cancel(submitted.job.record.id).unwrap();
        assert_eq!(cancelled.record.state, JobState::Cancelled);
        let again = pipeline.submit(&request(&source)).unwrap();
        assert!(again.queued);
        let_go(&state);
        let job = wait(&pipeline, &again);
        assert_eq!(
            (&job.state, job.attempt),
            (&JobState::Succeeded, 2),
            "{point:?}"
        );
        assert_eq!(bytes(&store, &job), expected, "{point:?}");
        assert!(
            counts.lock().unwrap().values().all(|count| *count == 1),
            "{point:?}"
        );
    }
}

#[test]
fn a_full_disk_fails_the_job_and_its_resubmission_goes_on() {
    let (source, _files) = source();
    let folder = tempfile::tempdir().unwrap();
    let full = StoreOptions {
        min_free_bytes: 1 << 60,
        ..StoreOptions::default()
    };
    let store = Arc::new(Store::open_with(folder.path(), full).unwrap());
    let failed = run(
        &pipeline(&store, CountingExtractor::default()),
        &request(&source),
    );
    let JobState::Failed { reason, .. } = &failed.state else {
        panic!("{:?}", failed.state)
    };
    assert!(reason.contains("room"), "{reason}");
    assert!(store.curriculum("c").unwrap().is_none());
    drop(store);
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let job = run(
        &pipeline(&store, CountingExtractor::default()),
        &request(&source),
    );
    assert_eq!((job.id, &job.state), (failed.id, &JobState::Succeeded));
}

#[test]
fn an_unchanged_source_is_not_read_again_and_a_grown_one_only_where_it_is_new() {
    let (source, files) = source();
    let (store, _folder) = store();
    let counts = Counts::default();
    let points = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&points);
    let hook = Hook::new(move |point| seen.lock().unwrap().push(point));
    let pipeline = hooked(&store, &counts, hook);
    run(&pipeline, &request(&source));
    points.lock().unwrap().clear();
    let mut refit = request(&source);
    refit.parameters.clusters = Some(Clusters::Fixed(4));
    assert_eq!(run(&pipeline, &refit).state, JobState::Succeeded);
    let is_written =
        |point: &CommitPoint| matches!(point, CommitPoint::Samples(_) | CommitPoint::Features(_));
    assert!(!points.lock().unwrap().iter().any(is_written));

    // A new sample in front, and a copy of an old one at the end.
    fs::write(files.path().join("new.png"), "1 12345").unwrap();
    let lines = fs::read_to_string(&source).unwrap();
    let grown = files.path().join("grown.jsonl");
    let (new, copy) = (
        r#"{"id":"new","path":"new.png"}"#,
        r#"{"id":"copy","path":"7.png"}"#,
    );
    fs::write(
        &grown,
        format!(
            "{new}\n{lines}{copy}\n{new_again}\n",
            new_again = r#"{"id":"twin","path":"new.png"}"#
        ),
    )
    .unwrap();
    let job = run(&pipeline, &request(&grown));
    assert_eq!(
        (&job.state, job.sample_count),
        (&JobState::Succeeded, SAMPLES as u64 + 3)
    );
    let counts = counts.lock().unwrap();
    assert_eq!(counts.values().sum::<usize>(), SAMPLES + 1);
}

#[test]
fn only_failed_samples_are_tried_again() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let counts = Counts::default();
    let failing = |texts: &[&str]| CountingExtractor {
        counts: Arc::clone(&counts),
        fails: texts.iter().map(|text| (*text).to_owned()).collect(),
        ..Default::default()
    };
    let first = pipeline(&store, failing(&["0 30", "1 400"]));
    let job = run(&first, &request(&source));
    assert_eq!((&job.state, job.failed_count), (&JobState::Succeeded, 2));
    first.stop();
    drop(first);

    let second = pipeline(&store, failing(&["0 30"]));
    let retried = second.retry_failed(job.id).unwrap();
    assert!(retried.queued);
    let again = wait(&second, &retried);
    assert_eq!(
        (&again.state, again.failed_count),
        (&JobState::Succeeded, 1)
    );
    assert_ne!(again.version, job.version);
    assert_eq!(second.sample_errors(job.id, None, 9).unwrap()[0].index, 30);
    second.stop();
    drop(second);

    let third = pipeline(&store, failing(&[]));
    let whole = wait(&third, &third.retry_failed(job.id).unwrap());
    assert_eq!(
        (&whole.state, whole.failed_count),
        (&JobState::Succeeded, 0)
    );
    assert!(third.retry_failed(job.id).is_err());
    let counts = counts.lock().unwrap();
    assert_eq!((counts["0 30"], counts["1 400"]), (3, 2));
    assert_eq!(counts.values().sum::<usize>(), SAMPLES + 3);
    // The same request is the same job still.
    assert!(!third.submit(&request(&source)).unwrap().queued);
}
