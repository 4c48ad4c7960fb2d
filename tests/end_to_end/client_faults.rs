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

/// The server waits no longer for the first message of a health check, and twice as long for that of others.
const HEALTH_WAITS: Duration = Duration::from_secs(5);

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

/// Calls that have ended.
fn ended(server: &TestServer) -> f64 {
    counted(server).iter().map(|(_, count)| count).sum()
}

/// Calls that have not.
fn at_work(server: &TestServer) -> f64 {
    let body = http::get(&server.side_url("/metrics")).body;
    let gauges = body
        .lines()
        .filter(|line| line.starts_with("curriculum_grpc_requests_in_flight{"));
    let values = gauges.filter_map(|line| line.rsplit_once(' '));
    values.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

/// Waits until there are so many.
async fn until(what: &str, expected: f64, found: impl Fn() -> f64) {
    let end = Instant::now() + PATIENCE;
    loop {
        let count = found();
        if count == expected {
            return;
        }
        assert!(Instant::now() < end, "{count} {what}, not {expected}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// That the log has nothing to say.
fn is_quiet(server: &TestServer) {
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
        // A connection has only so many calls at a time.
        let made = f64::from(5 * (call + 1));
        until("have ended", made, || ended(&server)).await;
    }
    let mut expected = METHODS.map(|method| (format!("{method} INVALID_ARGUMENT"), 100.0));
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(counted(&server), expected);
    is_quiet(&server);
}

/// Unless the machine stalls for so long that the server is first to lose patience.
#[tokio::test]
async fn a_client_that_leaves_before_its_request_is_whole_has_cancelled_it() {
    for reset in [None, Some(CANCEL), Some(INTERNAL_ERROR)] {
        let home = Home::new();
        let server = TestServer::start(&home).await;
        let mut made = 0.0;
        let mut stalled = false;
        for _ in 0..20 {
            let begins = Instant::now();
            let mut frames = Frames::greet(server.url());
            let streams = (1_u32..).step_by(2);
            for (stream, method) in streams.clone().zip(METHODS) {
                frames.announce(stream, method, 10).unwrap();
                frames.frame(kind::DATA, 0, stream, b"half").unwrap();
                made += 1.0;
            }
            let begun = || {
                let ended = ended(&server);
                ended + at_work(&server)
            };
            until("have begun", made, begun).await;
            if let Some(reason) = reset {
                for stream in streams.take(METHODS.len()) {
                    frames.frame(kind::RST_STREAM, 0, stream, &reason).unwrap();
                }
                until("have ended", made, || ended(&server)).await;
            }
            drop(frames);
            until("have ended", made, || ended(&server)).await;
            stalled |= begins.elapsed() >= HEALTH_WAITS;
        }
        let counted = counted(&server);
        for method in METHODS {
            let of = |code: &str| {
                let call = format!("{method} {code}");
                let found = counted.iter().find(|(found, _)| *found == call);
                found.map_or(0.0, |(_, count)| *count)
            };
            let cancelled = of("CANCELLED");
            assert!(cancelled == 20.0 || stalled, "{counted:?}");
            assert_eq!(cancelled + of("DEADLINE_EXCEEDED"), 20.0, "{counted:?}");
        }
        is_quiet(&server);
    }
}
