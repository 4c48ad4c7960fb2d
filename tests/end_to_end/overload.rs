//! Too many calls, calls beside a running job, health and reflection.

use curriculum_proto::v1::{self, JobState, Order, push_features_request::Part};
use curriculum_tests::{
    Home, Launch, PATIENCE, TestServer,
    calls::{submission, weights_of},
    command::submit,
    data,
    frames::Frames,
};
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::{StreamExt, once};
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt;

async fn with_one_place(home: &Home) -> TestServer {
    let settings = "[model]\nthreads = 1\n[grpc]\nmax_concurrent_requests = 1\n";
    let launch = Launch {
        settings,
        ..Launch::default()
    };
    TestServer::launch(home, launch).await
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_at_once() {
    let home = Home::new();
    let server = with_one_place(&home).await;
    server.publish(submission("c", &small(&home), 3)).await;

    let mut calls = JoinSet::new();
    for iteration in 0..256 {
        let mut client = server.curricula();
        let request = weights_of("c", iteration, Order::EasyFirst);
        calls.spawn(async move { client.get_weights(request).await.err().map(|e| e.code()) });
    }
    let answers: BTreeSet<_> = calls
        .join_all()
        .await
        .into_iter()
        .map(|e| e.map(i32::from))
        .collect();
    let refused = Some(i32::from(Code::ResourceExhausted));
    assert_eq!(
        answers,
        BTreeSet::from([None, refused]),
        "codes of the errors"
    );

    let after = server
        .weights(weights_of("c", 0, Order::EasyFirst))
        .await
        .unwrap();
    assert_eq!(after.values.len(), 80);
}

/// A push that has the only place, and what the first call after it was told.
async fn pushing(server: &TestServer) -> (JoinHandle<()>, Status) {
    let mut ingest = server.ingest();
    let push = tokio::spawn(async move {
        let header = v1::PushHeader {
            push: "p".to_owned(),
            dimension: 8,
            ..v1::PushHeader::default()
        };
        let header = v1::PushFeaturesRequest {
            part: Some(Part::Header(header)),
        };
        let nothing_more = once(header).chain(tokio_stream::pending());
        let _ = ingest.push_features(nothing_more).await;
    });
    let started = Instant::now();
    loop {
        // The push may not have come yet.
        if let Err(refused) = list(server).await {
            return (push, refused);
        }
        assert!(started.elapsed() < PATIENCE, "never refused");
    }
}

async fn list(server: &TestServer) -> Result<(), Status> {
    let list = v1::ListCurriculaRequest::default();
    server.curricula().list_curricula(list).await.map(drop)
}

/// Ended calls of a method, by code.
fn ended(server: &TestServer, method: &str, code: &str) -> f64 {
    server.metric(&format!(
        "curriculum_grpc_requests_total{{method=\"{method}\",code=\"{code}\"}}"
    ))
}

#[tokio::test]
async fn refused_calls_are_told_when_to_come_back() {
    let home = Home::new();
    let server = with_one_place(&home).await;
    let (push, refused) = pushing(&server).await;
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    let retry = refused.get_details_retry_info().unwrap();
    assert!(retry.retry_delay.unwrap() > Duration::ZERO);
    // The client leaves, and its place is free.
    push.abort();
    let started = Instant::now();
    while let Err(refused) = list(&server).await {
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        assert!(started.elapsed() < PATIENCE, "still refused");
    }
}

#[tokio::test]
async fn who_waits_for_a_version_submits_again_when_told_to() {
    let home = Home::new();
    let server = with_one_place(&home).await;
    let (push, _) = pushing(&server).await;
    let source = small(&home);
    let submit = submit(server.url(), &source, 3, &["--wait"]);
    let free = async {
        let method = "curriculum.v1.IngestService/SubmitJob";
        let started = Instant::now();
        while ended(&server, method, "RESOURCE_EXHAUSTED") < 2.0 {
            assert!(started.elapsed() < PATIENCE, "not asked twice");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        push.abort();
    };
    let (submitted, ()) = tokio::join!(submit, free);
    assert_eq!(submitted.json()["state"], "succeeded");
}

/// Opened, and nothing more: whatever call it is, its place is for those who have something to ask.
#[tokio::test]
async fn calls_that_say_nothing_shut_nobody_out() {
    let home = Home::new();
    let settings = "[model]\nthreads = 1\n[grpc]\nmax_concurrent_requests = 8\n\
        request_timeout_seconds = 2\n";
    let launch = Launch {
        settings,
        ..Launch::default()
    };
    let server = TestServer::launch(&home, launch).await;
    let mut silent = Frames::greet(server.url());
    let paths = [
        "/curriculum.v1.CurriculumService/GetWeights",
        "/curriculum.v1.IngestService/SubmitJob",
        "/curriculum.v1.IngestService/PushFeatures",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    ];
    for (call, path) in (0..50).zip(paths.iter().cycle()) {
        silent.headers(2 * call + 1, path).unwrap();
    }
    let started = Instant::now();
    for seconds in 1..=3 {
        let mut is_answered = false;
        while !is_answered || started.elapsed() < Duration::from_secs(seconds) {
            assert!(started.elapsed() < PATIENCE, "shut out");
            match list(&server).await {
                Ok(()) => is_answered = true,
                // The machine stalled for two seconds.
                Err(late) => assert_eq!(late.code(), Code::DeadlineExceeded, "{late}"),
            }
        }
    }
    // All have been told.
    let started = Instant::now();
    loop {
        let ended = paths.map(|path| {
            ["DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"]
                .map(|code| ended(&server, &path[1..], code))
                .iter()
                .sum::<f64>()
        });
        if ended == [10.0; 5] {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{ended:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn health_is_answered_however_many_watch_it() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let mut watchers: Vec<_> = (0..70).map(|_| Frames::greet(server.url())).collect();
    for watcher in &mut watchers {
        for call in 0..250 {
            let path = "/grpc.health.v1.Health/Watch";
            watcher.call(2 * call + 1, path, &[]).unwrap();
        }
    }
    for _ in 0..20 {
        let channel = server.connect(None).await.unwrap();
        let mut health = HealthClient::new(channel);
        let request = HealthCheckRequest::default;
        health.check(request()).await.unwrap();
        let watch = health.watch(request()).await.unwrap();
        let first = watch.into_inner().message().await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::Serving);
    }
}

#[tokio::test]
async fn many_clients_get_the_same_answer() {
    let home = Home::new();
    let server = Arc::new(TestServer::start(&home).await);
    server.publish(submission("c", &small(&home), 3)).await;
    let request = weights_of("c", 7, Order::HardFirst);
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let (server, request) = (Arc::clone(&server), request.clone());
        calls.spawn(async move { server.weights(request).await.unwrap() });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!((answers.len(), answers[0].values.len()), (64, 80));
}

#[tokio::test]
async fn reads_are_answered_while_a_job_runs() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    server.publish(submission("c", &small(&home), 3)).await;
    let slow = data::write_slow_jsonl(&home.path("slow"), 6_000, 400);
    let job = server.submit_new(submission("slow", &slow, 2)).await;
    server
        .watch_until(&job.id, |job| job.state() == JobState::Running)
        .await;

    for iteration in 0..20 {
        let started = Instant::now();
        let request = v1::GetScheduleRequest {
            curriculum: "c".to_owned(),
            iterations: vec![iteration],
            ..v1::GetScheduleRequest::default()
        };
        let schedule = server
            .curricula()
            .get_schedule(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(schedule.entries[0].iteration, iteration);
        let jobs = server
            .ingest()
            .list_jobs(v1::ListJobsRequest::default())
            .await
            .unwrap()
            .into_inner()
            .jobs;
        assert_eq!((jobs.len(), &jobs[0].id), (2, &job.id), "newest first");
        assert_eq!(jobs[0].state(), JobState::Running);
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn health_and_reflection_name_the_services() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let services = [
        "curriculum.v1.CurriculumService",
        "curriculum.v1.IngestService",
    ];
    for service in ["", services[0], services[1]] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let health = HealthClient::new(server.channel())
            .check(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(health.status(), ServingStatus::Serving, "`{service}`");
    }

    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(server.channel());
    let mut answers = client
        .server_reflection_info(once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers
        .message()
        .await
        .unwrap()
        .and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(list)) = answer else {
        panic!("no list: {answer:?}");
    };
    let names: BTreeSet<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for service in services.into_iter().chain(["grpc.health.v1.Health"]) {
        assert!(names.contains(service), "{names:?}");
    }
}

fn small(home: &Home) -> PathBuf {
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(80));
    source
}
