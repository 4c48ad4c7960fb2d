//! Logs: the names of calls, what lines belong to, and what is in none.

use curriculum_proto::v1::Order;
use curriculum_tests::{
    Home, Launch, TestServer,
    calls::{submission, weights_of},
    collector::{Collector, names},
    data,
    s3::{S3, SECRET_KEY},
};
use std::path::Path;
use tonic::Request;

const WEIGHTS: &str = "curriculum.v1.CurriculumService/GetWeights";

async fn launch(home: &Home, log: &str) -> TestServer {
    let settings = format!("[model]\nthreads = 1\n[log]\n{log}\n");
    let usual = Launch::default();
    TestServer::launch(
        home,
        Launch {
            settings: &settings,
            ..usual
        },
    )
    .await
}

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
    let log = "filter = \"info,curriculum_server=debug\"\nformat = \"json\"";
    let server = launch(&home, log).await;
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

/// A filter of warnings leaves no span out.
#[tokio::test]
async fn lines_of_text_say_what_they_belong_to() {
    let home = Home::new();
    let log = "filter = \"warn,curriculum_pipeline=info,curriculum_server::layers=debug\"";
    let server = launch(&home, log).await;
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
        let launch = Launch {
            settings: everything,
            variables: &variables,
            ..Launch::default()
        };
        let server = TestServer::launch(&home, launch).await;
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
