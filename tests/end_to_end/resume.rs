//! After a kill: the same bytes, without doing the work twice.

use crate::published::Published;
use curriculum_proto::v1::{
    ClusterRange, Clusters, Job, Order, Stage, SubmitJobRequest, clusters::Choice,
};
use curriculum_tests::{
    Home, Launch, TestServer,
    calls::{submission, weights_of},
    data,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Samples of the job that is killed: five chunk files of 256.
const SAMPLES: usize = 1_280;

/// Pixels a side: the job takes seconds, so that a kill in its middle is easy to place.
const SIDE: u32 = 250;

#[tokio::test]
async fn a_killed_job_finishes_by_itself_with_the_same_bytes() {
    let home = Home::new();
    let source = data::write_slow_jsonl(&home.path("images"), SAMPLES, SIDE);
    let undisturbed = publish_alone(submission("c", &source, 5), Launch::default()).await;

    let server = TestServer::start(&home).await;
    let job = server.submit_new(submission("c", &source, 5)).await;
    server.watch_until(&job.id, is_extracting).await;
    server.kill().await;
    let finished = home.feature_chunks();
    assert!(!finished.is_empty() && finished.len() < 5, "{finished:?}");

    let server = TestServer::start(&home).await;
    let resumed = server.published(&job.id).await;
    assert_eq!((&resumed.id, resumed.failed_count), (&job.id, 0));
    let chunks = home.feature_chunks();
    assert_eq!(
        (chunks.len(), &chunks[..finished.len()]),
        (5, finished.as_slice())
    );
    assert_eq!(Published::read(&server, resumed).await, undisturbed);
}

#[tokio::test]
async fn what_is_published_survives_a_kill() {
    let home = Home::new();
    let source = small(&home);
    let server = TestServer::start(&home).await;
    let job = server.publish(submission("c", &source, 3)).await;
    let before = Published::read(&server, job.clone()).await;
    let (curriculum, instance) = (server.curriculum("c").await, instance(&server).await);
    server.kill().await;

    let server = TestServer::start(&home).await;
    assert_eq!(server.job(&job.id).await.job, Some(job.clone()));
    assert_eq!(server.curriculum("c").await, curriculum);
    assert_eq!(Published::read(&server, job).await, before);
    assert_ne!(self::instance(&server).await, instance);
    let again = server.submit(submission("c", &source, 3)).await.unwrap();
    assert!(!again.created);
}

#[tokio::test]
async fn damaged_features_are_extracted_again() {
    let home = Home::new();
    let source = small(&home);
    let undisturbed = publish_alone(submission("c", &source, 4), Launch::default()).await;
    let server = TestServer::start(&home).await;
    let first = server.publish(submission("c", &source, 3)).await;
    server.kill().await;
    let [chunk] = home.feature_chunks().try_into().unwrap();
    let intact = fs::read(&chunk.path).unwrap();
    flip(&chunk.path);

    let server = TestServer::start(&home).await;
    assert_eq!(server.job(&first.id).await.job, Some(first));
    let second = server.publish(submission("c", &source, 4)).await;
    assert!(
        server.log().contains("checksum mismatch"),
        "{}",
        server.log()
    );
    let [pack] = home.feature_chunks().try_into().unwrap();
    assert_eq!(fs::read(&pack.path).unwrap(), intact);
    assert_eq!(Published::read(&server, second).await, undisturbed);
}

/// Clustering reads what extraction left, and does not extract.
#[tokio::test]
async fn features_damaged_before_clustering_are_never_used() {
    let home = Home::new();
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(600));
    let mut request = submission("c", &source, 0);
    // Many candidates: clustering takes a second, so that the kill falls into it.
    let choice = Some(Choice::Auto(ClusterRange { min: 2, max: 40 }));
    request.parameters.as_mut().unwrap().clusters = Some(Clusters { choice });
    let undisturbed = publish_alone(request.clone(), Launch::default()).await;
    // A machine that stalls may let a job end before its server is killed.
    let mut published = None;
    for _ in 0..5 {
        published = damaged_before_clustering(&request).await;
        if published.is_some() {
            break;
        }
    }
    assert_eq!(published, Some(undisturbed));
}

/// What a job publishes whose features were damaged while it clustered them; none if it had ended before.
async fn damaged_before_clustering(request: &SubmitJobRequest) -> Option<Published> {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let job = server.submit_new(request.clone()).await;
    server
        .watch_until(&job.id, |job| job.stage() >= Stage::Extracted)
        .await;
    server.kill().await;
    let killed = SystemTime::now();
    let chunk = &home.feature_chunks()[1].path;
    flip(chunk);

    let server = TestServer::start(&home).await;
    let mut ended = server.ended(&job.id).await;
    if UNIX_EPOCH + Duration::from_millis(ended.ended_at_ms) < killed {
        return None;
    }
    if let Some(failure) = &ended.failure {
        // Reported; then the same submission must be able to succeed.
        assert!(failure.reason.contains("checksum mismatch"), "{failure:?}");
        server.submit_new(request.clone()).await;
        ended = server.published(&job.id).await;
    }
    Some(Published::read(&server, ended).await)
}

#[tokio::test]
async fn the_number_of_threads_does_not_change_a_bit() {
    let home = Home::new();
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(300));
    let mut results = Vec::new();
    for (settings, threads) in [
        ("[model]\nthreads = 1\n", "1"),
        ("[model]\nthreads = 2\nbatch_size = 32\n", "2"),
    ] {
        let variables = &[("RAYON_NUM_THREADS", threads)];
        let launch = Launch {
            settings,
            variables,
            ..Launch::default()
        };
        results.push(publish_alone(submission("c", &source, 6), launch).await);
    }
    assert_eq!(results[0], results[1]);
}

/// The same work in a data folder of its own, undisturbed.
async fn publish_alone(request: SubmitJobRequest, launch: Launch<'_>) -> Published {
    let home = Home::new();
    let server = TestServer::launch(&home, launch).await;
    let job = server.publish(request).await;
    Published::read(&server, job).await
}

/// Flips a bit of the features; as a number, it would pass.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

async fn instance(server: &TestServer) -> String {
    let weights = server.weights(weights_of("c", 0, Order::EasyFirst)).await;
    weights.unwrap().header.server_instance
}

fn small(home: &Home) -> PathBuf {
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(80));
    source
}

/// At least one chunk is done, and at least two are not.
fn is_extracting(job: &Job) -> bool {
    let done = job.progress.as_ref().map_or(0, |progress| progress.done);
    job.stage() == Stage::Enumerated && (256..=SAMPLES as u64 - 512).contains(&done)
}
