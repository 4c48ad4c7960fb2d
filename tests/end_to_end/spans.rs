//! Spans for a collector.

use curriculum_proto::v1::Order;
use curriculum_tests::{
    Home, Launch, TestServer,
    calls::{submission, weights_of},
    certificates::Authority,
    collector::{Collector, attribute, names},
    command::curriculum_in,
    data,
};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tonic::{Code, Request};

/// Nothing here waits for a collector that has an hour; only the last spans get three seconds.
const PROMPT: Duration = Duration::from_secs(60);

/// Milliseconds of an hour.
const HOUR: &str = "3600000";

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const WEIGHTS: &str = "curriculum.v1.CurriculumService/GetWeights";

fn with<'a>(variables: &'a [(&'a str, &'a str)], settings: &'a str) -> Launch<'a> {
    let usual = Launch {
        settings,
        ..Launch::default()
    };
    Launch { variables, ..usual }
}

const SETTINGS: &str = "[model]\nthreads = 1\n";

const JSON: &str = "[model]\nthreads = 1\n[log]\nfilter = \"debug\"\nformat = \"json\"\n";

/// A call that fails, and has a span all the same.
async fn ask_in_vain(server: &TestServer) {
    let unknown = server
        .weights(weights_of("unknown", 0, Order::EasyFirst))
        .await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
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
        attribute(&call.attributes, "client.address").unwrap(),
        "127.0.0.1"
    );
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
    let log = server.log();
    assert!(!log.contains("s3cr3t"), "{log}");
    let lines = log
        .lines()
        .filter(|line| line.contains("\"extracted batch\""));
    let mut batches = 0;
    for line in lines {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let spans = line["spans"].as_array().unwrap();
        assert!(spans.iter().any(|span| span["job"] == *job.id), "{line}");
        batches += 1;
    }
    assert!(batches > 0, "{log}");
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
    ask_in_vain(&server).await;
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

/// One that takes connections and says nothing, for as long as it likes, and one that is not there.
#[tokio::test]
async fn a_collector_that_is_away_slows_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let nobody = "http://127.0.0.1:9";
    for (endpoint, protocol, time) in [
        (silent.as_str(), "grpc", HOUR),
        (nobody, "grpc", "100"),
        (silent.as_str(), "http/protobuf", HOUR),
        (nobody, "http/protobuf", "100"),
    ] {
        let home = Home::new();
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", time),
        ];
        let server = TestServer::launch(&home, with(&variables, SETTINGS)).await;
        let begun = Instant::now();
        // Where nobody is, a dozen batches fail in that time.
        for number in 0.. {
            if number >= 500 && begun.elapsed() > Duration::from_millis(1_500) {
                break;
            }
            ask_in_vain(&server).await;
        }
        assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
        let signalled = Instant::now();
        server.terminate();
        assert!(server.exited().await.success());
        assert!(signalled.elapsed() < PROMPT, "{:?}", signalled.elapsed());
        let log = std::fs::read_to_string(home.path("log")).unwrap();
        let said = log.matches("spans do not reach the collector").count();
        if endpoint == nobody {
            assert_eq!(said, 1, "{log}");
        } else {
            // The one batch under way fails when the process ends, if at all.
            assert!(said <= 1, "{log}");
            let last = "the last spans did not reach the collector";
            assert!(log.contains(last), "{log}");
        }
        assert!(log.lines().count() < 20, "{log}");
    }
}

/// Over gRPC and over HTTP, as they are and compressed.
#[tokio::test]
async fn spans_go_by_the_protocol_that_is_asked_for() {
    for (protocol, compression) in [
        ("grpc", "gzip"),
        ("http/protobuf", "none"),
        ("http/protobuf", "gzip"),
    ] {
        let (home, collector) = (Home::new(), Collector::start().await);
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cr3t"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ];
        let server = TestServer::launch(&home, with(&variables, SETTINGS)).await;
        ask_in_vain(&server).await;
        let spans = collector.spans(|spans| !spans.is_empty()).await;
        assert_eq!(names(&spans), [WEIGHTS], "{protocol}");
        let (service, headers) = collector.sender();
        let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(
            (&*service, value("api-key")),
            ("curriculum", Some("s3cr3t"))
        );
        let compressed = value("content-encoding").or(value("grpc-encoding"));
        assert_eq!(compressed.unwrap_or("none"), compression, "{protocol}");
        let content = match protocol {
            "grpc" => "application/grpc",
            _ => "application/x-protobuf",
        };
        assert_eq!(value("content-type"), Some(content));
    }
}

#[tokio::test]
async fn spans_reach_a_collector_that_asks_for_a_certificate() {
    for protocol in ["grpc", "http/protobuf"] {
        reach_a_collector_that_asks_for_a_certificate(protocol).await;
    }
}

async fn reach_a_collector_that_asks_for_a_certificate(protocol: &str) {
    let (home, authority) = (Home::new(), Authority::new());
    let collector = Collector::secured(&authority).await;
    authority.issue().write(&home.path(""));
    std::fs::write(home.path("ca.crt"), authority.pem()).unwrap();
    let [ca, certificate, key] =
        ["ca.crt", "tls.crt", "tls.key"].map(|file| home.path(file).display().to_string());
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.as_str()),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let server = TestServer::launch(&home, with(&variables, SETTINGS)).await;
    ask_in_vain(&server).await;
    let spans = collector
        .spans(|spans| names(spans).contains(&WEIGHTS))
        .await;
    assert_eq!(names(&spans), [WEIGHTS]);
}

#[tokio::test]
async fn what_the_exporter_cannot_do_is_said_and_left_out() {
    let endpoint = |address| ("OTEL_EXPORTER_OTLP_ENDPOINT", address);
    let plain = endpoint("http://127.0.0.1:4318");
    for (variables, reason) in [
        (
            [plain, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
            "OTEL_EXPORTER_OTLP_PROTOCOL is `http/json`",
        ),
        (
            [plain, ("OTEL_TRACES_EXPORTER", "zipkin")],
            "OTEL_TRACES_EXPORTER is `zipkin`",
        ),
        (
            [
                endpoint("https://u:s3cr3t@h:4317"),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file"),
            ],
            "OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read `/no/such/file`",
        ),
        (
            [
                endpoint("https://u:s3cr3t@h:4317"),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null"),
            ],
            "OTEL_EXPORTER_OTLP_CERTIFICATE: `/dev/null` holds no CERTIFICATE in PEM",
        ),
        (
            [endpoint("s3cr3t.example:4317"), ("NONE", "")],
            "OTEL_EXPORTER_OTLP_ENDPOINT is no address",
        ),
        (
            [
                endpoint("https://u:s3cr3t@h:4317"),
                ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/dev/null"),
            ],
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY go together",
        ),
        (
            [endpoint("u:s3cr3t@h h"), ("NONE", "")],
            "OTEL_EXPORTER_OTLP_ENDPOINT is no address",
        ),
    ] {
        let home = Home::new();
        let server = TestServer::launch(&home, with(&variables, SETTINGS)).await;
        let log = server.log();
        let said = format!("no spans are sent: {reason}");
        assert_eq!(log.matches(&said).count(), 1, "{log}");
        assert!(!log.contains("s3cr3t"), "{log}");
        let checked = curriculum_in(&home.path(""), &variables, ["check-config"]).await;
        assert!(checked.stdout.contains(&format!("# {said}")), "{checked:?}");
        assert!(!checked.stdout.contains("s3cr3t"), "{checked:?}");
    }
}
