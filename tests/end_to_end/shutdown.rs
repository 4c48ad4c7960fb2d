//! SIGTERM, and cancelling jobs.

use curriculum_proto::v1::{self, Job, JobState, Order, Stage};
use curriculum_tests::{
    Home, Launch, PATIENCE, TestServer,
    calls::{submission, weights_of},
    data,
};
use std::time::Instant;
use tonic::{Code, Status};

/// Three chunks of work, seconds in all.
const SAMPLES: usize = 768;
const SIDE: u32 = 250;

/// Whoever waits for open calls runs out of [`PATIENCE`].
const DRAINING: Launch<'_> = Launch {
    settings: "[model]\nthreads = 1\n[grpc]\ndrain_seconds = 3600\n",
    variables: &[],
    tls: None,
};

#[tokio::test]
async fn sigterm_ends_the_server_and_not_the_job() {
    let home = Home::new();
    let source = data::write_slow_jsonl(&home.path("images"), SAMPLES, SIDE);
    let server = TestServer::launch(&home, DRAINING).await;
    let job = server.submit_new(submission("c", &source, 2)).await;
    let request = v1::WatchJobRequest { id: job.id.clone() };
    let mut watch = server
        .ingest()
        .watch_job(request)
        .await
        .unwrap()
        .into_inner();
    server.watch_until(&job.id, is_extracting).await;

    let signalled = Instant::now();
    server.terminate();
    let mut last = None;
    while let Some(message) = watch.message().await.unwrap() {
        last = message.job;
    }
    assert_eq!(
        last.map(|job| job.state()),
        Some(JobState::Queued),
        "where a watcher was left"
    );
    let status = server.exited().await;
    assert!(status.success(), "{status}");
    assert!(signalled.elapsed() < PATIENCE, "{:?}", signalled.elapsed());

    let finished = home.feature_chunks();
    assert!(!finished.is_empty());
    let server = TestServer::start(&home).await;
    server.published(&job.id).await;
    assert_eq!(home.feature_chunks()[..finished.len()], finished);
}

#[tokio::test]
async fn an_idle_server_ends_at_once() {
    let home = Home::new();
    let server = TestServer::launch(&home, DRAINING).await;
    let signalled = Instant::now();
    server.terminate();
    assert!(server.exited().await.success());
    assert!(signalled.elapsed() < PATIENCE, "{:?}", signalled.elapsed());
}

#[tokio::test]
async fn running_and_queued_jobs_can_be_cancelled() {
    let home = Home::new();
    let slow = data::write_slow_jsonl(&home.path("slow"), SAMPLES, SIDE);
    let quick = home.path("quick.tar");
    data::write_tar(&quick, &data::images(64));
    let server = TestServer::start(&home).await;
    let running = server.submit_new(submission("running", &slow, 2)).await;
    let queued = server.submit_new(submission("queued", &quick, 2)).await;
    server.watch_until(&running.id, is_extracting).await;

    let ended = cancel(&server, &queued.id).await.unwrap();
    assert_eq!(ended.state(), JobState::Cancelled);
    assert!(ended.ended_at_ms > 0);
    cancel(&server, &running.id).await.unwrap();
    let ended = server.ended(&running.id).await;
    assert_eq!(
        (ended.state(), ended.stage()),
        (JobState::Cancelled, Stage::Enumerated)
    );
    let refused = cancel(&server, &running.id).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    let error = server
        .weights(weights_of("running", 0, Order::EasyFirst))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(error.message().contains("cancelled"), "{error}");

    // What the cancelled job finished is kept, and submitting the same goes on from there.
    let finished = home.feature_chunks();
    assert!(!finished.is_empty());
    for (name, source, id) in [
        ("running", &slow, &running.id),
        ("queued", &quick, &queued.id),
    ] {
        let again = server.publish(submission(name, source, 2)).await;
        assert_eq!(again.id, *id);
    }
    assert!(
        finished
            .iter()
            .all(|chunk| home.feature_chunks().contains(chunk))
    );
}

async fn cancel(server: &TestServer, id: &str) -> Result<Job, Status> {
    let request = v1::CancelJobRequest { id: id.to_owned() };
    let answer = server.ingest().cancel_job(request).await?;
    Ok(answer.into_inner().job.unwrap())
}

/// At least one chunk is done, and at least one is not.
fn is_extracting(job: &Job) -> bool {
    let done = job.progress.as_ref().map_or(0, |progress| progress.done);
    job.stage() == Stage::Enumerated && (256..SAMPLES as u64).contains(&done)
}
