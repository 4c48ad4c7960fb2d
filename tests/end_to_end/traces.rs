//! Names of calls in answers and logs, and spans for a collector.

use curriculum_proto::v1::Order;
use curriculum_tests::{
    Home, Launch, TestServer,
    calls::{submission, weights_of},
    collector::{Collector, attribute, names},
    command::curriculum_in,
    data,
};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tonic::{Code, Request};

/// Nothing here waits for a collector; its time-outs are ten seconds and more.
const PROMPT: Duration = Duration::from_secs(8);

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const WEIGHTS: &str = "curriculum.v1.CurriculumService/GetWeights";

fn with<'a>(variables: &'a [(&'a str, &'a str)], settings: &'a str) -> Launch<'a> {
    Launch {
        settings,
        variables,
    }
}

const SETTINGS: &str = "[model]\nthreads = 1\n";

const JSON: &str = "[model]\nthreads = 1\n[log]\nfilter = \"debug\"\nformat = \"json\"\n";

/// Names that the answer has, whatever the outcome.
async fn name_of(server: &TestServer, curriculum: &str, given: Option<&str>) -> String {
    let mut request = Request::new(weights_of(curriculum, 3, Order::EasyFirst));
    if let Some(given) = given {
        let given = given.parse().unwrap();
        request.metadata_mut().insert("x-request-id", given);
    }
    let metadata = match server.curricula().get_weights(request).await {
        Ok(answer) => answer.metadata().clone(),
        Err(status) => status.metadata().clone(),
    };
    metadata
        .get("x-request-id")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn every_answer_has_the_name_of_its_call() {
    let home = Home::new();
    let settings = "[model]\nthreads = 1\n[log]\nfilter = \"info,curriculum_server=debug\"\nformat = \"json\"\n";
    let server = TestServer::launch(&home, with(&[], settings)).await;
    assert_eq!(
        name_of(&server, "unknown", Some("run-7.step_9")).await,
        "run-7.step_9"
    );
    let long = "x".repeat(65);
    let mut made = Vec::new();
    for other in [
        None,
        Some("two words"),
        Some(long.as_str()),
        Some("\"},{\""),
    ] {
        let name = name_of(&server, "unknown", other).await;
        assert_eq!((name.len(), Some(name.as_str()) == other), (16, false));
        made.push(name);
    }
    made.dedup();
    assert_eq!(made.len(), 4);
    server.terminate();
    let log = home.path("log");
    assert!(server.exited().await.success());
    let log = std::fs::read_to_string(log).unwrap();
    let ended = |line: &&str| line.contains("call ended") && line.contains(WEIGHTS);
    for name in made.iter().map(String::as_str).chain(["run-7.step_9"]) {
        let lines = log.lines().filter(ended).filter(|line| line.contains(name));
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), 1, "{name}: {log}");
        let line: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(line["span"]["request_id"], name);
        assert_eq!(line["fields"]["code"], "NotFound");
    }
}

#[tokio::test]
async fn spans_of_calls_and_stages_reach_the_collector() {
    let (home, collector) = (Home::new(), Collector::start().await);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "api-key=s3cr3t-of-the-collector",
        ),
        ("OTEL_SERVICE_NAME", "under-test"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let server = TestServer::launch(&home, with(&variables, JSON)).await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(20));
    let job = server.publish(submission("c", &source, 2)).await;
    let mut request = Request::new(weights_of("c", 3, Order::EasyFirst));
    let parent = format!("00-{TRACE}-{PARENT}-01");
    request
        .metadata_mut()
        .insert("traceparent", parent.parse().unwrap());
    request
        .metadata_mut()
        .insert("x-request-id", "step-3".parse().unwrap());
    let mut messages = server
        .curricula()
        .get_weights(request)
        .await
        .unwrap()
        .into_inner();
    while messages.message().await.unwrap().is_some() {}

    let stages = ["enumerate", "extract", "cluster", "score", "publish"];
    // A job is one span for each lane.
    let all = |name: &str| [WEIGHTS, "job"].contains(&name) || stages.contains(&name);
    let spans = collector.spans(|spans| {
        let found = names(spans).into_iter().filter(|name| all(name));
        found.count() == 3 + stages.len()
    });
    let spans = spans.await;
    let jobs = spans.iter().filter(|span| span.name == "job");
    let jobs: Vec<&[u8]> = jobs.map(|span| span.span_id.as_slice()).collect();
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let call = of(WEIGHTS);
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(hex(&call.trace_id), TRACE);
    assert_eq!(hex(&call.parent_span_id), PARENT);
    assert_eq!(attribute(&call.attributes, "request_id").unwrap(), "step-3");
    assert_eq!(
        attribute(&call.attributes, "rpc.grpc.status_code").unwrap(),
        "0"
    );
    assert!(call.end_time_unix_nano > call.start_time_unix_nano);
    for stage in stages {
        let span = of(stage);
        assert_eq!(
            attribute(&span.attributes, "job").unwrap(),
            job.id,
            "{stage}"
        );
        assert!(jobs.contains(&&*span.parent_span_id), "{stage}");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
    let (service, metadata) = collector.sender();
    assert_eq!(service, "under-test");
    assert_eq!(metadata.get("api-key").unwrap(), "s3cr3t-of-the-collector");
    assert!(!server.log().contains("s3cr3t"), "{}", server.log());
}

#[tokio::test]
async fn the_last_spans_are_sent_before_the_end() {
    let (home, collector) = (Home::new(), Collector::start().await);
    let variables = [
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            collector.endpoint.as_str(),
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
    ];
    let server = TestServer::launch(&home, with(&variables, SETTINGS)).await;
    let unknown = server
        .weights(weights_of("unknown", 0, Order::EasyFirst))
        .await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    server.terminate();
    assert!(server.exited().await.success());
    let spans = collector
        .spans(|spans| names(spans).contains(&WEIGHTS))
        .await;
    let call = spans.iter().find(|span| span.name == WEIGHTS).unwrap();
    assert_eq!(
        attribute(&call.attributes, "rpc.grpc.status_code").unwrap(),
        "5"
    );
    assert_eq!(collector.sender().0, "curriculum");
}

/// One that takes connections and says nothing, and one that is not there.
#[tokio::test]
async fn a_collector_that_is_away_slows_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for endpoint in [silent.as_str(), "http://127.0.0.1:9"] {
        let home = Home::new();
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
        ];
        let server = TestServer::launch(&home, with(&variables, SETTINGS)).await;
        let begun = Instant::now();
        for _ in 0..500 {
            let unknown = server
                .weights(weights_of("unknown", 0, Order::EasyFirst))
                .await;
            assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
        }
        assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
        let signalled = Instant::now();
        server.terminate();
        assert!(server.exited().await.success());
        assert!(signalled.elapsed() < PROMPT, "{:?}", signalled.elapsed());
    }
}

#[tokio::test]
async fn what_the_exporter_cannot_do_is_said_at_once() {
    let home = Home::new();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ];
    let serve = ["serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "off"];
    let refused = curriculum_in(&home.path(""), &variables, serve).await;
    refused.refused("OTEL_EXPORTER_OTLP_PROTOCOL is `http/protobuf`");
}

#[tokio::test]
async fn secrets_of_sources_are_not_logged() {
    let home = Home::new();
    let server = TestServer::launch(&home, with(&[], JSON)).await;
    let source = "http://user:s3cr3t@127.0.0.1:9/images.tar?X-Amz-Signature=s3cr3t&sig=s3cr3t";
    let request = submission("c", std::path::Path::new(source), 2);
    let refused = server.submit(request).await.unwrap_err();
    assert!(!refused.message().contains("s3cr3t"), "{refused}");
    server.terminate();
    let log = home.path("log");
    assert!(server.exited().await.success());
    let log = std::fs::read_to_string(log).unwrap();
    assert!(
        log.contains("SubmitJob") && !log.contains("s3cr3t"),
        "{log}"
    );
}
