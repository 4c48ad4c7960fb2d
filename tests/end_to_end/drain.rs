//! From SIGTERM to the end: not ready, still serving, GOAWAY, open calls, and the second SIGTERM.

use curriculum_proto::v1::{self, Job, JobState, Order, Stage};
use curriculum_tests::{
    Home, Launch, PATIENCE, TestServer,
    calls::{submission, weights_of},
    data,
    http::get,
};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::{Streaming, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

/// The time to drain in these tests: whoever waits for it runs out of [`PATIENCE`].
const HOUR: &str = "3600";

/// Seconds of work, a chunk of 256 after the other.
const SAMPLES: usize = 2_048;

fn draining<'a>(variables: &'a [(&'a str, &'a str)]) -> Launch<'a> {
    Launch {
        variables,
        ..Launch::default()
    }
}

async fn watch_health(server: &TestServer) -> Streaming<HealthCheckResponse> {
    let request = HealthCheckRequest::default();
    let answer = HealthClient::new(server.channel()).watch(request).await;
    answer.unwrap().into_inner()
}

/// Waits until nobody new should come.
async fn not_serving(health: &mut Streaming<HealthCheckResponse>) {
    loop {
        let message = timeout(PATIENCE, health.message()).await.expect("no news");
        if message.unwrap().unwrap().status() == ServingStatus::NotServing {
            return;
        }
    }
}

/// A client that shakes hands and then says nothing more, whatever it is told.
async fn deaf(server: &TestServer) -> TcpStream {
    let address = server.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(&settings).await.unwrap();
    stream
}

/// Reads frames up to a GOAWAY; its error code.
async fn goaway(stream: &mut TcpStream) -> u32 {
    loop {
        let mut head = [0; 9];
        let read = timeout(PATIENCE, stream.read_exact(&mut head)).await;
        read.expect("no GOAWAY").unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == 7 {
            return u32::from_be_bytes(payload[4..8].try_into().unwrap());
        }
    }
}

#[tokio::test]
async fn a_draining_server_serves_on_and_a_second_signal_ends_it() {
    let home = Home::new();
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(64));
    let variables = [("CURRICULUM__GRPC__DRAIN_DELAY_SECONDS", HOUR)];
    let server = TestServer::launch(&home, draining(&variables)).await;
    server.publish(submission("c", &source, 3)).await;
    let weights = weights_of("c", 5, Order::EasyFirst);
    let before = server.weights(weights.clone()).await.unwrap();
    let mut health = watch_health(&server).await;

    server.terminate();
    not_serving(&mut health).await;
    let probe = |path| get(&server.side_url(path));
    assert_eq!(probe("/readyz").status, 503);
    let reason = probe("/readyz").body;
    assert!(reason.starts_with("draining: "), "{reason}");
    assert_eq!(
        (probe("/livez").status, probe("/startupz").status),
        (200, 200)
    );
    let again = server.weights(weights.clone()).await.unwrap();
    assert_eq!(again.bits(), before.bits());
    let fresh = Endpoint::from_shared(server.url().to_owned()).unwrap();
    let fresh = fresh.connect().await.unwrap();
    let mut fresh = v1::curriculum_service_client::CurriculumServiceClient::new(fresh);
    let list = v1::ListCurriculaRequest::default();
    fresh.list_curricula(list).await.unwrap();
    server.publish(submission("late", &source, 2)).await;

    let signalled = Instant::now();
    server.terminate();
    let status = server.exited().await;
    assert!(status.success(), "{status}");
    assert!(signalled.elapsed() < PATIENCE, "{:?}", signalled.elapsed());
    let server = TestServer::start(&home).await;
    assert_eq!(server.weights(weights).await.unwrap().bits(), before.bits());
    let late = weights_of("late", 5, Order::EasyFirst);
    assert_eq!(server.weights(late).await.unwrap().values.len(), 64);
}

#[tokio::test]
async fn after_the_delay_connections_are_told_to_go_and_calls_end() {
    let home = Home::new();
    let source = data::write_slow_jsonl(&home.path("images"), SAMPLES, 250);
    let variables = [
        ("CURRICULUM__GRPC__DRAIN_DELAY_SECONDS", "1"),
        ("CURRICULUM__GRPC__DRAIN_SECONDS", HOUR),
    ];
    let server = TestServer::launch(&home, draining(&variables)).await;
    let job = server.submit_new(submission("c", &source, 2)).await;
    let request = v1::WatchJobRequest { id: job.id.clone() };
    let watch = server.ingest().watch_job(request).await;
    let mut watch = watch.unwrap().into_inner();
    let mut health = watch_health(&server).await;
    server.watch_until(&job.id, is_extracting).await;
    let mut connection = deaf(&server).await;

    let signalled = Instant::now();
    server.terminate();
    assert_eq!(goaway(&mut connection).await, 0);
    assert!(signalled.elapsed() >= Duration::from_secs(1));
    drop(connection);
    let mut last = None;
    while let Some(message) = watch.message().await.unwrap() {
        last = message.job;
    }
    assert_eq!(last.unwrap().state(), JobState::Queued);
    // A watch that nothing ends must not keep the server.
    while health.message().await.unwrap().is_some() {}
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
async fn a_second_signal_cuts_connections_that_do_not_end() {
    let home = Home::new();
    let source = data::write_slow_jsonl(&home.path("images"), SAMPLES, 250);
    let variables = [("CURRICULUM__GRPC__DRAIN_SECONDS", HOUR)];
    let server = TestServer::launch(&home, draining(&variables)).await;
    let job = server.submit_new(submission("c", &source, 2)).await;
    server.watch_until(&job.id, is_extracting).await;
    let mut connection = deaf(&server).await;
    server.terminate();
    goaway(&mut connection).await;

    let signalled = Instant::now();
    server.terminate();
    let status = server.exited().await;
    assert!(status.success(), "{status}");
    assert!(signalled.elapsed() < PATIENCE, "{:?}", signalled.elapsed());
    let server = TestServer::start(&home).await;
    server.published(&job.id).await;
}

/// At least one chunk is done, and at least one is not.
fn is_extracting(job: &Job) -> bool {
    let done = job.progress.as_ref().map_or(0, |progress| progress.done);
    job.stage() == Stage::Enumerated && (256..SAMPLES as u64).contains(&done)
}
