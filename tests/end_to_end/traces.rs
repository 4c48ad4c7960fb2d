//! Names of calls in answers and logs, and spans for a collector.

use curriculum_proto::v1::Order;
use curriculum_tests::{
    Home, Launch, TestServer,
    calls::{submission, weights_of},
    certificates::Authority,
    collector::{Collector, attribute, names},
    command::curriculum_in,
    data,
    s3::{S3, SECRET_KEY},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tonic::{Code, Request};

/// Nothing here waits for a collector; its time-outs are ten seconds and more.
const PROMPT: Duration = Duration::from_secs(8);

/// Three seconds for the last spans, and the end itself.
const END: Duration = Duration::from_secs(6);

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

/// A call that fails, and has a span all the same.
async fn ask_in_vain(server: &TestServer) {
    let unknown = server
        .weights(weights_of("unknown", 0, Order::EasyFirst))
        .await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
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
        let [span] = line["spans"].as_array().unwrap().as_slice() else {
            panic!("{line}");
        };
        assert_eq!(span["request_id"], name);
        assert_eq!(span["client.address"], "127.0.0.1");
        assert!(line["span"].is_null(), "{line}");
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

/// A filter of warnings leaves no span out.
#[tokio::test]
async fn lines_of_text_say_what_they_belong_to() {
    let home = Home::new();
    let settings = "[model]\nthreads = 1\n[log]\nfilter = \"warn,curriculum_pipeline=info,curriculum_server::layers=debug\"\n";
    let server = TestServer::launch(&home, with(&[], settings)).await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(20));
    let job = server.publish(submission("c", &source, 2)).await;
    assert_eq!(name_of(&server, "unknown", Some("step-3")).await, "step-3");
    server.terminate();
    let log = home.path("log");
    assert!(server.exited().await.success());
    let log = std::fs::read_to_string(log).unwrap();
    let spans = |end: &str| {
        let line = log.lines().find(|line| line.contains(end));
        line.unwrap_or_else(|| panic!("no {end} in {log}"))
    };
    let call = spans("code=NotFound");
    assert!(call.contains("request_id=\"step-3\""), "{call}");
    assert!(call.contains("client.address=127.0.0.1 "), "{call}");
    let queued = spans("job queued");
    assert!(queued.contains("request_id=") && queued.contains(&job.id));
    let finished = spans("stage finished");
    let of_job = format!("job{{job={}", job.id);
    assert!(finished.contains(&of_job), "{finished}");
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
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
        ];
        let server = TestServer::launch(&home, with(&variables, SETTINGS)).await;
        let begun = Instant::now();
        // A dozen batches fail in that time.
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
        assert!(signalled.elapsed() < END, "{:?}", signalled.elapsed());
        let log = std::fs::read_to_string(home.path("log")).unwrap();
        let said = log.matches("spans do not reach the collector").count();
        assert_eq!(said, 1, "{log}");
        assert!(log.lines().count() < 20, "{log}");
    }
}

#[tokio::test]
async fn spans_reach_a_collector_that_asks_for_a_certificate() {
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
            [plain, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
            "OTEL_EXPORTER_OTLP_PROTOCOL is `http/protobuf`",
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

/// Whatever is logged: keys of calls, of stores and of collectors, and what signed addresses hold.
#[test]
fn secrets_are_not_logged() {
    let (home, s3) = (Home::new(), S3::start());
    let folder = home.path("folder");
    data::write_folder(&folder, &data::images(20));
    s3.put_all("images", "folder", &folder);
    let settings = s3.settings();
    let everything = "[model]\nthreads = 1\n[log]\nfilter = \"trace\"\nformat = \"json\"\n";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::start());
    let mut variables: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (&**k, &**v)).collect();
    runtime.block_on(async {
        variables.extend([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.endpoint),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20s3cr3t",
            ),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ]);
        let server = TestServer::launch(&home, with(&variables, everything)).await;
        let (bucket, clusters) = (Path::new("s3://images/folder"), 2);
        server.publish(submission("c", bucket, clusters)).await;
        for source in [
            "http://user:s3cr3t@127.0.0.1:9/images.tar",
            "http://127.0.0.1:9/images.tar?X-Amz-Signature=s3cr3t&sig=s3cr3t",
            "s3://user:s3cr3t@images/folder",
        ] {
            let request = submission("d", Path::new(source), clusters);
            let refused = server.submit(request).await.unwrap_err();
            assert!(!refused.message().contains("s3cr3t"), "{refused}");
        }
        let mut request = Request::new(weights_of("c", 3, Order::EasyFirst));
        let key = "Bearer s3cr3t".parse().unwrap();
        request.metadata_mut().insert("authorization", key);
        server.curricula().get_weights(request).await.unwrap();
        let sent = collector.spans(|spans| names(spans).contains(&WEIGHTS));
        sent.await;
        server.terminate();
        assert!(server.exited().await.success());
    });
    let log = std::fs::read_to_string(home.path("log")).unwrap();
    assert!(log.contains("SubmitJob") && log.contains("\"TRACE\""));
    for secret in ["s3cr3t", SECRET_KEY] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
