//! Wherever a job is stopped, it ends with the bytes of an undisturbed run, and no finished sample is
//! extracted twice.

use crate::support::*;
use curriculum_store::{JobState, Stage, Store};
use std::sync::Arc;

fn undisturbed(source: &std::path::Path) -> Vec<u8> {
    let (store, _folder) = store();
    let job = run(
        &pipeline(&store, CountingExtractor::default()),
        &request(source),
    );
    assert_eq!(job.state, JobState::Succeeded);
    bytes(&store, &job)
}

#[test]
fn stopping_after_any_report_changes_nothing() {
    let (source, _files) = source();
    let expected = undisturbed(&source);
    // Later reports than a job makes mean that it ran through; that is covered as well.
    for reports in [0, 1, 2, 3, 4, 5, 6, 8, 11, 15, 20, 30] {
        let (store, folder) = store();
        let counts = Counts::default();
        let extractor = || CountingExtractor {
            counts: Arc::clone(&counts),
            ..Default::default()
        };
        let first = pipeline(&store, extractor());
        let submitted = first.submit(&request(&source)).unwrap();
        let mut seen = 0;
        wait_until(first.watch(submitted.job.record.id).unwrap(), |_| {
            seen += 1;
            seen > reports
        });
        first.stop();
        drop((first, store));

        let store = Arc::new(Store::open(folder.path()).unwrap());
        let job = wait(&pipeline(&store, extractor()), &submitted);
        assert_eq!(job.state, JobState::Succeeded, "after {reports} reports");
        assert_eq!(bytes(&store, &job), expected, "after {reports} reports");
        let counts = counts.lock().unwrap();
        assert_eq!(counts.len(), SAMPLES);
        assert!(
            counts.values().all(|count| *count == 1),
            "after {reports} reports"
        );
    }
}

#[test]
fn a_failure_keeps_finished_samples() {
    let (source, _files) = source();
    let expected = undisturbed(&source);
    // Four calls make a pack.
    for calls in [0, 1, 4, 6, 12] {
        let (store, _folder) = store();
        let counts = Counts::default();
        let broken = CountingExtractor {
            counts: Arc::clone(&counts),
            calls_left: Some(calls),
            ..Default::default()
        };
        let failed = run(&pipeline(&store, broken), &request(&source));
        assert!(
            matches!(&failed.state, JobState::Failed { reason, .. } if reason == "out of calls")
        );
        let finished: usize = counts.lock().unwrap().values().sum();

        let whole = CountingExtractor {
            counts: Arc::clone(&counts),
            ..Default::default()
        };
        let job = run(&pipeline(&store, whole), &request(&source));
        assert_eq!(job.id, failed.id);
        assert_eq!(bytes(&store, &job), expected);
        assert_eq!(
            counts.lock().unwrap().values().sum::<usize>(),
            SAMPLES,
            "{finished} were finished"
        );
    }
}

#[test]
fn a_damaged_pack_is_extracted_again() {
    let (source, _files) = source();
    let expected = undisturbed(&source);
    let (store, folder) = store();
    let broken = CountingExtractor {
        calls_left: Some(8),
        ..Default::default()
    };
    run(&pipeline(&store, broken), &request(&source));
    let pack = pack_file(folder.path(), 1);
    let mut content = std::fs::read(&pack).unwrap();
    let last = content.len() - 100;
    content[last] ^= 1;
    std::fs::write(&pack, content).unwrap();

    let counts = Counts::default();
    let whole = CountingExtractor {
        counts: Arc::clone(&counts),
        ..Default::default()
    };
    let job = run(&pipeline(&store, whole), &request(&source));
    assert_eq!(bytes(&store, &job), expected);
    assert_eq!(counts.lock().unwrap().len(), SAMPLES - 256);
}

/// Path of a finished pack.
fn pack_file(data: &std::path::Path, number: u64) -> std::path::PathBuf {
    let features = std::fs::read_dir(data.join("features")).unwrap();
    let folder = features.last().unwrap().unwrap().path();
    folder.join(format!("pack-{number:08}.features"))
}

#[test]
fn features_lost_after_extraction_are_made_again() {
    let (source, _files) = source();
    let expected = undisturbed(&source);
    let (store, folder) = store();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let submitted = pipeline.submit(&request(&source)).unwrap();
    let extracted = |view: &curriculum_pipeline::JobView| view.record.stage >= Stage::Extracted;
    wait_until(pipeline.watch(submitted.job.record.id).unwrap(), extracted);
    pipeline.stop();
    // Wherever the stop fell, put the job back to where extraction had just ended.
    let mut job = store.job(submitted.job.record.id).unwrap().unwrap();
    (job.stage, job.state) = (Stage::Extracted, JobState::Running);
    store.put_job(&job).unwrap();
    std::fs::remove_file(pack_file(folder.path(), 1)).unwrap();

    let again = crate::support::pipeline(&store, CountingExtractor::default());
    let job = wait(&again, &submitted);
    assert_eq!((&job.state, job.setbacks), (&JobState::Succeeded, 1));
    assert_eq!(bytes(&store, &job), expected);
}

#[test]
fn a_job_of_another_model_is_not_gone_on_with() {
    let (source, _files) = source();
    let (store, _folder) = store();
    let broken = CountingExtractor {
        calls_left: Some(4),
        ..Default::default()
    };
    let mut job = run(&pipeline(&store, broken), &request(&source));
    job.state = JobState::Running;
    job.model_digest = [9; 32].into();
    store.put_job(&job).unwrap();
    let pipeline = pipeline(&store, CountingExtractor::default());
    let job = wait_until(pipeline.watch(job.id).unwrap(), |_| false);
    assert!(
        matches!(&job.state, JobState::Failed { reason, .. } if reason.contains("model")),
        "{:?}",
        job.state
    );
}
