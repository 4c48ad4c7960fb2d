//! Connections and clients that want too much: each is bounded, and the others are served.

use curriculum_proto::v1::{self, Order};
use curriculum_tests::{
    Home, Launch, PATIENCE, TestServer,
    calls::{submission, weights_of},
    data,
    frames::{Frames, flag, header, kind},
    limits,
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tonic::{Code, Request, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Between two looks at something that comes about within seconds.
const SOON: Duration = Duration::from_millis(50);

/// 4 MiB of weights.
const SAMPLES: usize = 1 << 20;

async fn launch(home: &Home, grpc: &str) -> TestServer {
    let settings = format!("[model]\nthreads = 1\n[grpc]\n{grpc}\n");
    let launch = Launch {
        settings: &settings,
        ..Launch::default()
    };
    TestServer::launch(home, launch).await
}

/// Waits until `reached` holds.
async fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(SOON).await;
    }
}

/// That the server answers, on a connection of its own.
async fn answers(server: &TestServer) -> Result<(), tonic::Status> {
    let channel = server.connect(None).await.unwrap();
    let mut client = v1::curriculum_service_client::CurriculumServiceClient::new(channel);
    client
        .list_curricula(v1::ListCurriculaRequest::default())
        .await?;
    Ok(())
}

fn lines(server: &TestServer, text: &str) -> usize {
    let log = server.log();
    log.lines().filter(|line| line.contains(text)).count()
}

/// More than there may be, of which all that are open have a call at work.
#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once_and_said_once() {
    let home = Home::new();
    let server = launch(&home, "max_connections = 2").await;
    publish(&home, &server).await;
    // A call that has ended may still be at its end.
    let watched =
        "curriculum_grpc_requests_in_flight{method=\"curriculum.v1.IngestService/WatchJob\"}";
    eventually("no watch", || server.metric(watched) == 0.0).await;
    let mut working = Frames::greet(server.url());
    let path = "/curriculum.v1.CurriculumService/GetWeights";
    working.call(1, path, &request_of("c")).unwrap();
    let at_work =
        "curriculum_grpc_requests_in_flight{method=\"curriculum.v1.CurriculumService/GetWeights\"}";
    eventually("one at work", || server.metric(at_work) == 1.0).await;
    // For which the test's own, which is idle, goes.
    let mut other = Frames::greet_from("127.0.0.9", server.url());
    other.call(1, path, &request_of("c")).unwrap();
    eventually("two at work", || server.metric(at_work) == 2.0).await;
    let refused = "curriculum_grpc_connections_total{outcome=\"refused\"}";
    let before = server.metric(refused);
    for _ in 0..20 {
        assert_eq!(Frames::connect(server.url()).read_to_end(), 0);
    }
    assert!(server.metric(refused) >= before + 20.0);
    assert_eq!(lines(&server, "more than 2 connections at work"), 1);
    drop(working);
    eventually("a free place", || server.metric(at_work) == 1.0).await;
    answers(&server).await.unwrap();
}

/// Clients that only connect: from one address, and from another than those who work.
#[tokio::test]
async fn idle_connections_shut_nobody_out() {
    let home = Home::new();
    let server = launch(&home, "max_connections = 60").await;
    let channel = server.connect(None).await.unwrap();
    let mut kept = v1::curriculum_service_client::CurriculumServiceClient::new(channel);
    let list = v1::ListCurriculaRequest::default;
    for from in ["127.0.0.9", "127.0.0.1"] {
        kept.list_curricula(list()).await.unwrap();
        let idle: Vec<_> = (0..150)
            .map(|_| Frames::greet_from(from, server.url()))
            .collect();
        for _ in 0..10 {
            answers(&server).await.unwrap();
        }
        kept.list_curricula(list()).await.unwrap();
        let open = server.metric("curriculum_grpc_connections");
        assert!(open <= 60.0 + 64.0, "{open}");
        drop(idle);
    }
    assert_eq!(lines(&server, "idle ones are closed for new ones"), 1);
    let refused = "curriculum_grpc_connections_total{outcome=\"refused\"}";
    assert_eq!(server.metric(refused), 0.0);
}

#[tokio::test]
async fn connections_that_do_not_begin_are_cut() {
    let home = Home::new();
    let server = launch(&home, "handshake_seconds = 1").await;
    let mut silent = Frames::connect(server.url());
    let mut half = Frames::connect(server.url());
    half.send(b"PRI * HTTP/2.0\r\n\r\n").unwrap();
    // Servers speak first.
    silent.read_to_end();
    half.read_to_end();
    answers(&server).await.unwrap();
    assert_eq!(lines(&server, "connections failed"), 1);
}

#[tokio::test]
async fn garbage_ends_its_connection_and_nothing_else() {
    let home = Home::new();
    let server = launch(&home, "").await;
    let mut noise = 1_u32;
    let mut garbage = |length: usize| -> Vec<u8> {
        let bytes = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_be_bytes()[0]
        });
        bytes.take(length).collect()
    };
    for round in 0..100 {
        let mut frames = match round % 2 {
            0 => Frames::connect(server.url()),
            _ => Frames::greet(server.url()),
        };
        // The server may have had enough before all is sent.
        let _ = frames.send(&garbage(10_000));
        frames.read_to_end();
    }
    // A frame of a length that no frame may have; then headers that are none.
    let mut long = Frames::greet(server.url());
    let _ = long.send(&[0xff; 9]);
    long.read_to_end();
    let mut broken = Frames::greet(server.url());
    let bytes = [0xff; 64];
    let _ = broken.frame(kind::HEADERS, flag::END_HEADERS, 1, &bytes);
    broken.read_to_end();
    answers(&server).await.unwrap();
    assert_eq!(lines(&server, "connections failed"), 1);
}

/// A gigabyte of headers in one request, or what the server takes of it.
#[tokio::test]
async fn headers_without_end_are_not_kept() {
    let home = Home::new();
    let server = launch(&home, "").await;
    answers(&server).await.unwrap();
    let before = server.resident_bytes();
    let mut frames = Frames::greet(server.url());
    let value = "v".repeat(120);
    let headers: Vec<u8> = (0..100).flat_map(|_| header("name", &value)).collect();
    frames.frame(kind::HEADERS, 0, 1, &headers).unwrap();
    let mut sent = 0;
    while sent < 1 << 30 {
        if frames.frame(kind::CONTINUATION, 0, 1, &headers).is_err() {
            break;
        }
        sent += headers.len();
    }
    assert!(sent < 1 << 30, "the server took it all");
    frames.read_to_end();
    let grown = server.resident_bytes().saturating_sub(before);
    eprintln!("{grown} bytes for {sent} of headers");
    assert!(grown < 16 << 20, "{grown} bytes for {sent} of headers");

    // Through a library, a little above the limit: that call alone is refused.
    let mut client = server.curricula();
    let mut request = Request::new(v1::ListCurriculaRequest::default());
    let metadata = request.metadata_mut();
    metadata.insert("much", "v".repeat(20_000).parse().unwrap());
    client.list_curricula(request).await.unwrap_err();
    answers(&server).await.unwrap();
}

/// A version of so many samples, each a feature.
async fn publish(home: &Home, server: &TestServer) {
    let features = home.path("features.npy");
    let values: Vec<u8> = (0..SAMPLES)
        .flat_map(|i| ((i * 7 % 1_000) as f32).to_le_bytes())
        .collect();
    data::write_npy(&features, "<f4", false, &format!("({SAMPLES}, 1)"), &values);
    server.publish(submission("c", &features, 2)).await;
}

#[tokio::test]
async fn calls_that_nobody_reads_end_and_cost_little() {
    let home = Home::new();
    let server = launch(&home, "write_stall_seconds = 2").await;
    publish(&home, &server).await;
    let endpoint = Endpoint::from_shared(server.url().to_owned()).unwrap();
    // Else the client itself would take a megabyte or two of each.
    let endpoint = endpoint
        .initial_stream_window_size(65_535)
        .initial_connection_window_size(1 << 30);
    let channel = endpoint.connect().await.unwrap();
    let client = v1::curriculum_service_client::CurriculumServiceClient::new(channel);
    // Whether an answer comes whole: a client on a machine that stalls does not read either.
    let is_whole = async |iteration| {
        let request = weights_of("c", iteration, Order::EasyFirst);
        let read = async {
            let mut messages = client.clone().get_weights(request).await?.into_inner();
            while messages.message().await?.is_some() {}
            Ok::<_, tonic::Status>(())
        };
        let read = read.await;
        if let Err(cut) = &read {
            assert_eq!(cut.code(), Code::Cancelled, "{cut}");
        }
        read.is_ok()
    };
    assert!(is_whole(0).await || is_whole(0).await);
    let before = server.resident_bytes();
    let mut unread = Vec::new();
    for iteration in 0..200 {
        let request = weights_of("c", iteration, Order::EasyFirst);
        let answer = client.clone().get_weights(request).await.unwrap();
        unread.push(answer.into_inner());
    }
    let grown = server.resident_bytes().saturating_sub(before);
    eprintln!("{grown} bytes for 200 unread answers");
    // Two pieces of 256 KiB each, of 4 MiB.
    assert!(grown < 200 << 20, "{grown} bytes for 200 unread answers");
    let calls = "curriculum_grpc_stalled_total{what=\"call\"}";
    let (mut iteration, mut whole) = (0, 0);
    let end = Instant::now() + PATIENCE;
    while server.metric(calls) < 200.0 || whole == 0 {
        assert!(Instant::now() < end, "{} ended", server.metric(calls));
        // Others on the same connection are served.
        iteration += 1;
        whole += u32::from(is_whole(iteration).await);
    }
    for mut messages in unread {
        let ended = async {
            while messages.message().await?.is_some() {}
            Ok::<_, tonic::Status>(())
        };
        timeout(PATIENCE, ended).await.unwrap().unwrap_err();
    }
    assert_eq!(lines(&server, "clients did not read"), 1);
    assert!(is_whole(0).await || is_whole(0).await);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut() {
    let home = Home::new();
    let server = launch(&home, "write_stall_seconds = 2").await;
    publish(&home, &server).await;
    server
        .weights(weights_of("c", 0, Order::EasyFirst))
        .await
        .unwrap();
    let before = server.resident_bytes();
    let mut deaf = Frames::greet_with_wide_windows(server.url());
    let message = request_of("c");
    for call in 0..100 {
        let path = "/curriculum.v1.CurriculumService/GetWeights";
        deaf.call(2 * call + 1, path, &message).unwrap();
    }
    let connections = "curriculum_grpc_stalled_total{what=\"connection\"}";
    let mut most = 0;
    eventually("the connection is cut", || {
        most = most.max(server.resident_bytes());
        server.metric(connections) == 1.0
    })
    .await;
    let grown = most.saturating_sub(before);
    eprintln!("{grown} bytes for 100 answers on a dead connection");
    assert!(
        grown < 120 << 20,
        "{grown} bytes for 400 MiB that nobody reads"
    );
    answers(&server).await.unwrap();
}

/// A client that keeps its answers unread leaves places to others; here another address.
#[tokio::test]
async fn unread_answers_of_one_client_leave_places_to_others() {
    let home = Home::new();
    let server = launch(&home, "max_concurrent_requests = 8").await;
    publish(&home, &server).await;
    let mut greedy = Frames::greet_from("127.0.0.9", server.url());
    for call in 0..24 {
        let path = "/curriculum.v1.CurriculumService/GetWeights";
        greedy.call(2 * call + 1, path, &request_of("c")).unwrap();
    }
    let at_work =
        "curriculum_grpc_requests_in_flight{method=\"curriculum.v1.CurriculumService/GetWeights\"}";
    eventually("half of the places", || server.metric(at_work) == 4.0).await;
    for _ in 0..100 {
        answers(&server).await.unwrap();
    }
    assert_eq!(server.metric(at_work), 4.0, "they hold what they have");
}

#[tokio::test]
async fn a_connection_has_so_many_calls_and_its_client_makes_more_wait() {
    let home = Home::new();
    let server = launch(&home, "max_streams_per_connection = 4").await;
    publish(&home, &server).await;
    let endpoint = Endpoint::from_shared(server.url().to_owned()).unwrap();
    let channel = endpoint.initial_stream_window_size(65_535).connect().await;
    let client = v1::curriculum_service_client::CurriculumServiceClient::new(channel.unwrap());
    let mut unread = Vec::new();
    for iteration in 0..4 {
        let request = weights_of("c", iteration, Order::EasyFirst);
        let answer = client.clone().get_weights(request).await.unwrap();
        unread.push(answer.into_inner());
    }
    let mut other = client.clone();
    let mut fifth = std::pin::pin!(other.list_curricula(v1::ListCurriculaRequest::default()));
    let early = timeout(Duration::from_secs(1), &mut fifth).await;
    assert!(early.is_err(), "{early:?}");
    answers(&server).await.unwrap();
    unread.pop();
    timeout(PATIENCE, fifth).await.unwrap().unwrap();
}

/// A call that does not end keeps a connection of age for the grace, and not for longer.
#[tokio::test]
async fn old_connections_are_cut_after_the_grace() {
    let home = Home::new();
    let grpc = "max_connection_age_seconds = 1\nmax_connection_age_grace_seconds = 2";
    let server = launch(&home, grpc).await;
    let connected = Instant::now();
    let channel = server.connect(None).await.unwrap();
    let mut health = HealthClient::new(channel);
    let watch = health.watch(HealthCheckRequest::default()).await;
    let mut watch = watch.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    let cut = timeout(PATIENCE, watch.message()).await.unwrap();
    let after = connected.elapsed();
    assert!(cut.is_err(), "{cut:?}");
    assert!(after > Duration::from_millis(2_500), "{after:?}");
    assert!(after < Duration::from_secs(20), "{after:?}");
}

#[tokio::test]
async fn a_call_that_hangs_keeps_a_draining_server_for_its_time_and_not_for_longer() {
    let home = Home::new();
    let server = launch(&home, "drain_seconds = 2").await;
    publish(&home, &server).await;
    let mut unread = Frames::greet(server.url());
    let path = "/curriculum.v1.CurriculumService/GetWeights";
    unread.call(1, path, &request_of("c")).unwrap();
    let at_work =
        "curriculum_grpc_requests_in_flight{method=\"curriculum.v1.CurriculumService/GetWeights\"}";
    eventually("the call", || server.metric(at_work) == 1.0).await;
    let signalled = Instant::now();
    server.terminate();
    let status = server.exited().await;
    let after = signalled.elapsed();
    assert!(status.success(), "{status}");
    assert!(after >= Duration::from_secs(2), "{after:?}");
    assert!(after < Duration::from_secs(20), "{after:?}");
    let log = std::fs::read_to_string(home.path("log")).unwrap();
    assert!(log.contains("time to drain is over"), "{log}");
}

/// `GetWeightsRequest` with a name, which is its first field.
fn request_of(name: &str) -> Vec<u8> {
    let mut bytes = vec![1 << 3 | 2, name.len() as u8];
    bytes.extend(name.bytes());
    bytes
}

#[tokio::test]
async fn idle_connections_are_kept_and_cost_little() {
    let home = Home::new();
    let server = launch(&home, "max_connections = 20000").await;
    answers(&server).await.unwrap();
    let count: u32 = if limits::open_files() >= 16_000 {
        10_000
    } else {
        500
    };
    let before = server.resident_bytes();
    let greet = |_| Frames::greet(server.url());
    let mut idle: VecDeque<_> = (0..count).map(greet).collect();
    let accepted = "curriculum_grpc_connections_total{outcome=\"accepted\"}";
    let mut made = f64::from(count);
    eventually("all connections", || {
        let are_all_in = server.metric(accepted) >= made;
        let open = server.metric("curriculum_grpc_connections");
        if open >= f64::from(count) {
            return true;
        }
        if are_all_in {
            // Within forty seconds the first go, for want of a sign of life. Others come for them.
            let gone = count - open as u32;
            idle.drain(..gone as usize);
            idle.extend((0..gone).map(greet));
            made += f64::from(gone);
        }
        false
    })
    .await;
    let each = server.resident_bytes().saturating_sub(before) / u64::from(count);
    eprintln!("{each} bytes for each of {count} idle connections");
    assert!(each < 64 << 10, "{each} bytes for an idle connection");
    timeout(PATIENCE, answers(&server)).await.unwrap().unwrap();
    assert_eq!(idle.len(), count as usize);
}

/// Connections of age take no new calls; their clients notice nothing.
#[tokio::test]
async fn old_connections_are_replaced_without_a_failed_call() {
    let home = Home::new();
    let grpc = "max_connection_age_seconds = 1\nmax_connection_age_grace_seconds = 1";
    let server = launch(&home, grpc).await;
    let accepted = "curriculum_grpc_connections_total{outcome=\"accepted\"}";
    let mut client = server.curricula();
    let end = Instant::now() + PATIENCE;
    while server.metric(accepted) < 4.0 {
        assert!(
            Instant::now() < end,
            "{} connections",
            server.metric(accepted)
        );
        let listed = client.list_curricula(v1::ListCurriculaRequest::default());
        listed.await.unwrap();
    }
}

/// Clients that are gone without a word, as when their machine loses power: they do not answer the server's
/// question for a sign of life.
#[tokio::test]
async fn clients_that_have_vanished_are_noticed() {
    let home = Home::new();
    let server = launch(&home, "").await;
    let gone = [(); 200].map(|()| Frames::greet(server.url()));
    let open = "curriculum_grpc_connections";
    eventually("all connections", || server.metric(open) == 201.0).await;
    answers(&server).await.unwrap();
    eventually("only those that live", || server.metric(open) == 1.0).await;
    answers(&server).await.unwrap();
    drop(gone);
    assert!(server.log().lines().count() < 100, "{}", server.log());
}
