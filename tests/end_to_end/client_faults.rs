//! Requests that cannot be read, and clients that leave in the middle of one: nothing of it is taken for a
//! fault of the server.

use curriculum_tests::{
    Home, PATIENCE, TestServer,
    frames::{Frames, flag, kind},
    http,
};
use std::time::{Duration, Instant};

const WEIGHTS: &str = "/curriculum.v1.CurriculumService/GetWeights";
const SUBMIT: &str = "/curriculum.v1.IngestService/SubmitJob";
const PUSH: &str = "/curriculum.v1.IngestService/PushFeatures";
const IMPORT: &str = "/curriculum.v1.IngestService/ImportVersion";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const METHODS: [&str; 5] = [WEIGHTS, SUBMIT, PUSH, IMPORT, HEALTH];

/// HTTP/2's reason of a client that does not want the answer any more.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// And of one that broke down.
const INTERNAL_ERROR: [u8; 4] = [0, 0, 0, 2];

/// Calls by method and code, those that did not occur left out.
fn counted(server: &TestServer) -> Vec<(String, f64)> {
    let body = http::get(&server.side_url("/metrics")).body;
    let lines = body.lines().filter_map(|line| {
        let (labels, value) = line
            .strip_prefix("curriculum_grpc_requests_total{method=\"")?
            .split_once("\"} ")?;
        let (method, code) = labels.split_once("\",code=\"")?;
        let count: f64 = value.parse().unwrap();
        (count > 0.0).then(|| (format!("/{method} {code}"), count))
    });
    let mut lines: Vec<_> = lines.collect();
    lines.sort_by(|one, other| one.0.cmp(&other.0));
    lines
}

/// Waits until so many calls of each method have ended, which they all must with `code`; then that the log
/// has nothing to say.
async fn all_end(server: &TestServer, methods: &[&str], code: &str, count: f64) {
    let mut expected: Vec<_> = methods
        .iter()
        .map(|method| (format!("{method} {code}"), count))
        .collect();
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    let end = Instant::now() + PATIENCE;
    let mut found = counted(server);
    while found != expected {
        assert!(Instant::now() < end, "{found:?}, not {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        found = counted(server);
    }
    let log = server.log();
    let loud = |line: &&str| line.contains("WARN") || line.contains("ERROR");
    assert_eq!(log.lines().find(loud), None, "{log}");
}

#[tokio::test]
async fn garbage_is_an_invalid_argument() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let mut frames = Frames::greet(server.url());
    for call in 0..100 {
        for (number, method) in (0..).zip(METHODS) {
            let stream = 2 * (5 * call + number) + 1;
            let sent = match call % 5 {
                0 => frames.call(stream, method, &[0xff; 10]),
                1 => frames.call(stream, method, b"\x0a\x7fa length beyond the end"),
                2 => frames.call(stream, method, b"\x0a\x02\xff\xfe no text"),
                // The message is longer than what comes.
                3 => frames
                    .announce(stream, method, 10)
                    .and_then(|()| frames.frame(kind::DATA, flag::END_STREAM, stream, b"short")),
                // Said to be compressed, and does not say how.
                _ => {
                    frames.announce(stream, method, 0).unwrap();
                    frames.frame(kind::DATA, flag::END_STREAM, stream, &[1, 0, 0, 0, 0])
                }
            };
            sent.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    all_end(&server, &METHODS, "INVALID_ARGUMENT", 100.0).await;
}

/// Waits until so many methods have a call at work.
async fn at_work(server: &TestServer, methods: usize) {
    let end = Instant::now() + PATIENCE;
    loop {
        let body = http::get(&server.side_url("/metrics")).body;
        let gauges = body
            .lines()
            .filter(|line| line.starts_with("curriculum_grpc_requests_in_flight{"));
        let found = gauges.filter(|line| !line.ends_with(" 0")).count();
        if found == methods {
            return;
        }
        assert!(Instant::now() < end, "{found} at work, not {methods}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_its_request_is_whole_has_cancelled_it() {
    for reset in [None, Some(CANCEL), Some(INTERNAL_ERROR)] {
        let home = Home::new();
        let server = TestServer::start(&home).await;
        for _ in 0..20 {
            let mut frames = Frames::greet(server.url());
            let streams = (1_u32..).step_by(2);
            for (stream, method) in streams.clone().zip(METHODS) {
                frames.announce(stream, method, 10).unwrap();
                frames.frame(kind::DATA, 0, stream, b"half").unwrap();
            }
            at_work(&server, METHODS.len()).await;
            if let Some(reason) = reset {
                for stream in streams.take(METHODS.len()) {
                    frames.frame(kind::RST_STREAM, 0, stream, &reason).unwrap();
                }
                at_work(&server, 0).await;
            }
            drop(frames);
            at_work(&server, 0).await;
        }
        all_end(&server, &METHODS, "CANCELLED", 20.0).await;
    }
}
