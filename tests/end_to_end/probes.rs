//! The side port and health: while a server starts, and without a model.

use curriculum_proto::v1::{
    self, JobState, Order, curriculum_service_client::CurriculumServiceClient,
};
use curriculum_tests::{
    Home, Launch, PATIENCE, Starting, TestServer,
    calls::{submission, weights_of},
    command::curriculum_in,
    data,
    http::get,
};
use nix::{sys::stat::Mode, unistd::mkfifo};
use std::{fs, path::Path};
use tokio::time::timeout;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest,
    health_check_response::ServingStatus::{self, NotServing, Serving},
    health_client::HealthClient,
};

const READ: &str = "curriculum.v1.CurriculumService";
const WRITE: &str = "curriculum.v1.IngestService";

/// A model whose entry cannot be read before it is written: whoever opens it waits.
fn slow_model(home: &Home) -> std::path::PathBuf {
    let files = Path::new("../crates/extractor/tests/data");
    fs::copy(files.join("tokens.onnx"), home.path("slow.onnx")).unwrap();
    let entry = home.path("slow.toml");
    mkfifo(&entry, Mode::S_IRWXU).unwrap();
    entry
}

/// Lets the model be opened.
fn release(entry: &Path) {
    fs::write(
        entry,
        fs::read("../crates/extractor/tests/data/tokens.toml").unwrap(),
    )
    .unwrap();
}

const SLOW: Launch<'_> = Launch {
    settings: "[model]\nthreads = 1\nname = \"slow.onnx\"\n",
    variables: &[],
    tls: None,
};

const SLOW_AND_OPTIONAL: Launch<'_> = Launch {
    variables: &[("CURRICULUM__MODEL__REQUIRED", "false")],
    ..SLOW
};

/// Of all services, of reads and of jobs.
async fn health(channel: &Channel) -> [ServingStatus; 3] {
    let mut found = Vec::new();
    for service in ["", READ, WRITE] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = HealthClient::new(channel.clone()).check(request).await;
        found.push(answer.unwrap().into_inner().status());
    }
    found.try_into().unwrap()
}

/// Waits until the health of jobs is SERVING.
async fn ingest_serves(channel: &Channel) {
    let request = HealthCheckRequest {
        service: WRITE.to_owned(),
    };
    let answer = HealthClient::new(channel.clone()).watch(request).await;
    let mut statuses = answer.unwrap().into_inner();
    while statuses.message().await.unwrap().unwrap().status() != Serving {}
}

fn probes(side: &str) -> [u16; 3] {
    ["/livez", "/startupz", "/readyz"].map(|path| get(&format!("{side}{path}")).status)
}

#[tokio::test]
async fn ports_answer_before_the_server_is_open() {
    let home = Home::new();
    let entry = slow_model(&home);
    let starting = Starting::launch(&home, SLOW).await;
    assert_eq!(probes(&starting.side), [200, 503, 503]);
    let reason = get(&format!("{}/readyz", starting.side)).body;
    assert!(reason.starts_with("starting: "), "{reason}");
    let metrics = get(&format!("{}/metrics", starting.side));
    assert_eq!(metrics.status, 200);
    let channel = starting.channel().await;
    assert_eq!(health(&channel).await, [NotServing; 3]);
    let mut client = CurriculumServiceClient::new(channel.clone());
    let list = v1::ListCurriculaRequest::default();
    let refused = client.list_curricula(list).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");

    release(&entry);
    let server = starting.ready().await;
    assert_eq!(probes(&server.side_url("")), [200; 3]);
    assert_eq!(health(&channel).await, [Serving; 3]);
    client.list_curricula(list).await.unwrap();
    let version = get(&server.side_url("/version"));
    assert!(version.headers.contains("application/json"), "{version:?}");
    let version: serde_json::Value = serde_json::from_str(&version.body).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["api_level"], 1);
    assert!(version["rust_version"].as_str().unwrap().starts_with("1."));
    assert!(version.as_object().unwrap().contains_key("git_commit"));
}

#[tokio::test]
async fn a_server_that_is_starting_ends_at_once() {
    let home = Home::new();
    slow_model(&home);
    let starting = Starting::launch(&home, SLOW).await;
    assert!(starting.terminated().await.success());
}

#[tokio::test]
async fn reads_are_served_while_the_model_is_on_its_way() {
    let home = Home::new();
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(64));
    let server = TestServer::start(&home).await;
    server.publish(submission("c", &source, 3)).await;
    let weights = weights_of("c", 7, Order::EasyFirst);
    let expected = server.weights(weights.clone()).await.unwrap();
    server.kill().await;

    let entry = slow_model(&home);
    let server = TestServer::launch(&home, SLOW_AND_OPTIONAL).await;
    assert_eq!(
        health(&server.channel()).await,
        [Serving, Serving, NotServing]
    );
    let ready = get(&server.side_url("/readyz"));
    assert!(
        ready.body.contains("model is still being loaded"),
        "{ready:?}"
    );
    assert!(ready.status == 200, "{ready:?}");
    let answer = server.weights(weights).await.unwrap();
    assert_eq!(answer.bits(), expected.bits());
    assert!(server.curriculum("c").await.extractor.is_none());
    let early = server.submit(submission("later", &source, 2)).await;
    assert_eq!(early.unwrap_err().code(), Code::Unavailable);

    release(&entry);
    ingest_serves(&server.channel()).await;
    assert_eq!(get(&server.side_url("/readyz")).body, "ok\n");
    server.publish(submission("later", &source, 2)).await;
    let extractor = server.curriculum("c").await.extractor.unwrap();
    assert_eq!(extractor.model, "tokens");
}

/// No test machine has a GPU that the library of the tests can use.
#[tokio::test]
async fn without_its_gpu_a_server_refuses_to_start_or_serves_what_needs_none() {
    let home = Home::new();
    let on_gpu = ("CURRICULUM__MODEL__EXECUTION_PROVIDER", "cuda");
    let serve = ["serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "off"];
    let refused = curriculum_in(&home.path(""), &[on_gpu], serve).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stdout.is_empty(), "{refused:?}");
    assert!(refused.stderr.contains("cuda"), "{refused:?}");

    let server = TestServer::launch(
        &home,
        Launch {
            variables: &[on_gpu, ("CURRICULUM__MODEL__REQUIRED", "false")],
            ..Launch::default()
        },
    )
    .await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(20));
    let refused = async {
        loop {
            let submitted = server.submit(submission("c", &source, 2)).await;
            let refused = submitted.unwrap_err();
            if refused.code() != Code::Unavailable {
                break refused;
            }
        }
    };
    let refused = timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("cuda"), "{refused}");
    assert_eq!(
        health(&server.channel()).await,
        [Serving, Serving, NotServing]
    );
    let ready = get(&server.side_url("/readyz"));
    assert!(
        ready.status == 200 && ready.body.contains("no model"),
        "{ready:?}"
    );

    let features = home.path("features.npy");
    let rows = (0..40_u16).flat_map(|i| (f32::from(i) * 0.3).sin().to_le_bytes());
    data::write_npy(
        &features,
        "<f4",
        false,
        "(20, 2)",
        &rows.collect::<Vec<_>>(),
    );
    let job = server.publish(submission("features", &features, 2)).await;
    assert_eq!(job.state(), JobState::Succeeded);
    let weights = weights_of("features", 0, Order::EasyFirst);
    assert_eq!(server.weights(weights).await.unwrap().values.len(), 20);
}

#[tokio::test]
async fn calls_that_fail_leave_health_alone() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    for _ in 0..50 {
        let unknown = weights_of("unknown", 0, Order::EasyFirst);
        server.weights(unknown).await.unwrap_err();
        let nowhere = submission("c", &home.path("nowhere"), 2);
        server.submit(nowhere).await.unwrap_err();
    }
    assert_eq!(health(&server.channel()).await, [Serving; 3]);
    assert_eq!(probes(&server.side_url("")), [200; 3]);
}
