//! Keys: what each may do, what a call without one learns, and keys that change while calls run.

use curriculum_proto::v1::{
    self, Order, curriculum_service_client::CurriculumServiceClient,
    ingest_service_client::IngestServiceClient,
};
use curriculum_tests::{
    Home, Launch, PATIENCE, TestServer,
    calls::{submission, weights_of},
    command::curriculum_in,
    data, http,
};
use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};
use tokio_stream::once;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

const READ: &str = "read-0123456789abcdef";
const WRITE: &str = "write-0123456789abcdef";
const ONE: &str = "one-0123456789abcdef";

/// The usual settings, with keys in the server's own folder.
const KEYS: &str = "[model]\nthreads = 1\n[auth]\nread_keys_file = \"read.keys\"\n\
    write_keys_file = \"write.keys\"\ncurriculum_keys_file = \"curriculum.keys\"\n";

/// Adds a key to each request.
#[derive(Clone)]
struct Key(Option<MetadataValue<Ascii>>);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("authorization", key.clone());
        }
        Ok(request)
    }
}

fn key(key: Option<&str>) -> Key {
    Key(key.map(|key| format!("Bearer {key}").parse().unwrap()))
}

type Intercepted = InterceptedService<Channel, Key>;

fn reader(server: &TestServer, with: Option<&str>) -> CurriculumServiceClient<Intercepted> {
    CurriculumServiceClient::with_interceptor(server.channel(), key(with))
}

fn writer(server: &TestServer, with: Option<&str>) -> IngestServiceClient<Intercepted> {
    IngestServiceClient::with_interceptor(server.channel(), key(with))
}

/// A server with keys, and the curricula `one` and `two`.
async fn launch(home: &Home) -> TestServer {
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(80));
    let server = TestServer::start(home).await;
    server.publish(submission("one", &source, 2)).await;
    server.publish(submission("two", &source, 3)).await;
    server.terminate();
    assert!(server.exited().await.success());
    fs::write(home.path("read.keys"), format!("# trainers\n{READ}\n")).unwrap();
    fs::write(home.path("write.keys"), format!("{WRITE}\n")).unwrap();
    fs::write(home.path("curriculum.keys"), format!("{ONE} o*e\n")).unwrap();
    let launch = Launch {
        settings: KEYS,
        ..Launch::default()
    };
    TestServer::launch(home, launch).await
}

/// All reading calls about a curriculum, and what comes of them.
async fn read_all(
    mut client: CurriculumServiceClient<Intercepted>,
    name: &str,
) -> Vec<Result<(), Status>> {
    let curriculum = name.to_owned();
    let version = String::new();
    vec![
        client
            .get_weights(weights_of(name, 0, Order::EasyFirst))
            .await
            .map(drop),
        client
            .get_schedule(v1::GetScheduleRequest {
                curriculum: curriculum.clone(),
                iterations: vec![0],
                ..Default::default()
            })
            .await
            .map(drop),
        client
            .sample_indices(v1::SampleIndicesRequest {
                curriculum: curriculum.clone(),
                batch: 8,
                ..Default::default()
            })
            .await
            .map(drop),
        client
            .get_difficulty(v1::GetDifficultyRequest {
                curriculum: curriculum.clone(),
                ..Default::default()
            })
            .await
            .map(drop),
        client
            .get_curriculum(v1::GetCurriculumRequest {
                curriculum: curriculum.clone(),
                version: version.clone(),
            })
            .await
            .map(drop),
        client
            .export_version(v1::ExportVersionRequest {
                curriculum,
                version,
            })
            .await
            .map(drop),
    ]
}

async fn names(mut client: CurriculumServiceClient<Intercepted>) -> Result<Vec<String>, Status> {
    let listed = client
        .list_curricula(v1::ListCurriculaRequest::default())
        .await?;
    let curricula = listed.into_inner().curricula.into_iter();
    Ok(curricula.map(|curriculum| curriculum.name).collect())
}

fn refusal(outcome: Result<(), Status>) -> (i32, String, Vec<u8>) {
    let status = outcome.expect_err("the call was answered");
    let (code, text) = (status.code().into(), status.message().to_owned());
    (code, text, status.details().to_vec())
}

#[tokio::test]
async fn without_a_key_a_call_learns_nothing() {
    let home = Home::new();
    let server = launch(&home).await;
    let mut answers = BTreeSet::new();
    for with in [None, Some("wrong-0123456789abcdef"), Some("r")] {
        for name in ["one", "absent", ""] {
            for outcome in read_all(reader(&server, with), name).await {
                answers.insert(refusal(outcome));
            }
        }
        answers.insert(refusal(names(reader(&server, with)).await.map(drop)));
        let mut jobs = writer(&server, with);
        let listed = jobs.list_jobs(v1::ListJobsRequest::default()).await;
        answers.insert(refusal(listed.map(drop)));
        let reflected = reflect(&server, with).await;
        answers.insert(refusal(reflected));
    }
    let (code, text, _) = answers.pop_first().unwrap();
    assert_eq!(code, i32::from(Code::Unauthenticated), "{text}");
    assert!(answers.is_empty(), "they differ: {answers:?}");

    // Probes need none.
    let mut health = HealthClient::new(server.channel());
    health.check(HealthCheckRequest::default()).await.unwrap();
    for path in ["/livez", "/startupz", "/readyz", "/metrics", "/version"] {
        assert_eq!(http::get(&server.side_url(path)).status, 200, "{path}");
    }
}

#[tokio::test]
async fn reflection_that_is_asked_for_needs_a_key_too() {
    let home = Home::new();
    fs::write(home.path("read.keys"), format!("{READ}\n")).unwrap();
    let launch = Launch {
        settings: "[model]\nthreads = 1\n[grpc]\nreflection = true\n[auth]\nread_keys_file = \"read.keys\"\n",
        ..Launch::default()
    };
    let server = TestServer::launch(&home, launch).await;
    for with in [None, Some("wrong-0123456789abcdef")] {
        let refused = reflect(&server, with).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{with:?}");
    }
    reflect(&server, Some(READ)).await.unwrap();
}

async fn reflect(server: &TestServer, with: Option<&str>) -> Result<(), Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::with_interceptor(server.channel(), key(with));
    let mut answers = client
        .server_reflection_info(once(request))
        .await?
        .into_inner();
    answers.message().await.map(drop)
}

#[tokio::test]
async fn each_key_does_what_it_may() {
    let home = Home::new();
    let server = launch(&home).await;
    for with in [READ, WRITE] {
        for outcome in read_all(reader(&server, Some(with)), "two").await {
            outcome.unwrap();
        }
        assert_eq!(
            names(reader(&server, Some(with))).await.unwrap(),
            ["one", "two"]
        );
    }
    let list = v1::ListJobsRequest::default;
    let jobs = writer(&server, Some(WRITE))
        .list_jobs(list())
        .await
        .unwrap();
    assert_eq!(jobs.into_inner().jobs.len(), 2);
    for with in [READ, ONE] {
        let jobs = writer(&server, Some(with)).list_jobs(list()).await;
        assert_eq!(jobs.unwrap_err().code(), Code::PermissionDenied);
        let source = home.path("images.tar");
        let submitted = writer(&server, Some(with))
            .submit_job(submission("one", &source, 2))
            .await;
        assert_eq!(submitted.unwrap_err().code(), Code::PermissionDenied);
    }
    // With keys, reflection is off unless it is asked for.
    let reflected = reflect(&server, Some(WRITE)).await.unwrap_err();
    assert_eq!(reflected.code(), Code::Unimplemented);

    let log = server.log();
    for secret in [READ, WRITE, ONE] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn a_curriculums_key_sees_that_curriculum_alone() {
    let home = Home::new();
    let server = launch(&home).await;
    for outcome in read_all(reader(&server, Some(ONE)), "one").await {
        outcome.unwrap();
    }
    assert_eq!(names(reader(&server, Some(ONE))).await.unwrap(), ["one"]);
    let mut answers = BTreeSet::new();
    for name in ["two", "absent"] {
        for outcome in read_all(reader(&server, Some(ONE)), name).await {
            answers.insert(refusal(outcome));
        }
    }
    let (code, text, _) = answers.pop_first().unwrap();
    assert_eq!(code, i32::from(Code::PermissionDenied), "{text}");
    assert!(answers.is_empty(), "they differ: {answers:?}");
}

#[tokio::test]
async fn keys_change_without_a_failed_call() {
    const NEXT: &str = "next-0123456789abcdef";
    let home = Home::new();
    let server = launch(&home).await;
    let keys = home.path("read.keys");
    let works = async |with| names(reader(&server, Some(with))).await.is_ok();
    let until = async |with, expected| {
        let end = Instant::now() + PATIENCE;
        while works(with).await != expected {
            assert!(Instant::now() < end, "the keys do not change");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    fs::write(&keys, format!("{READ}\n{NEXT}\n")).unwrap();
    until(NEXT, true).await;
    assert!(works(READ).await, "both are valid");
    // What cannot be used changes nothing.
    fs::write(&keys, "short\n").unwrap();
    let end = Instant::now() + PATIENCE;
    while !server.log().contains("read.keys: line 1: a key must have") {
        assert!(Instant::now() < end, "{}", server.log());
        assert!(works(READ).await && works(NEXT).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Nor does it keep what another file changes.
    fs::write(home.path("curriculum.keys"), ONE).unwrap();
    fs::write(&keys, format!("{NEXT}\n")).unwrap();
    until(READ, false).await;
    assert!(works(ONE).await, "the names are missing now");
    assert!(works(NEXT).await);
}

#[tokio::test]
async fn the_command_line_sends_the_key() {
    let home = Home::new();
    let server = launch(&home).await;
    fs::write(home.path("my.key"), format!("{READ}\n")).unwrap();
    let inspect = ["inspect", "one", "--json", "--server", server.url()];
    let with_file = [&inspect[..], &["--api-key-file", "my.key"]].concat();
    let shown = curriculum_in(&home.path(""), &[], with_file).await;
    assert_eq!(shown.json()["curriculum"], "one");
    let variables = [("CURRICULUM_API_KEY", READ)];
    let shown = curriculum_in(&home.path(""), &variables, inspect).await;
    assert_eq!(shown.json()["curriculum"], "one");
    let variables = [("CURRICULUM_API_KEY_FILE", "my.key")];
    let shown = curriculum_in(&home.path(""), &variables, inspect).await;
    assert_eq!(shown.json()["curriculum"], "one");

    let without = curriculum_in(&home.path(""), &[], inspect).await;
    without.refused("a valid key is needed");
    let jobs = ["jobs", "--server", server.url(), "--api-key-file", "my.key"];
    let denied = curriculum_in(&home.path(""), &[], jobs).await;
    denied.refused("the key may only read");
    let absent = ["jobs", "--server", server.url(), "--api-key-file", "absent"];
    let absent = curriculum_in(&home.path(""), &[], absent).await;
    absent.refused("--api-key-file: cannot read absent");
}

#[tokio::test]
async fn bad_keys_are_refused_at_the_start_and_never_shown() {
    let home = Home::new();
    fs::write(
        home.path("keys"),
        format!("{READ}\nsecret-but-with-two words\n"),
    )
    .unwrap();
    let variables = [("CURRICULUM__AUTH__READ_KEYS_FILE", "keys")];
    let serve = ["serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "off"];
    let refused = curriculum_in(&home.path(""), &variables, serve).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("keys: line 2: "), "{refused:?}");
    assert!(!refused.stderr.contains("secret"), "{refused:?}");

    let check = ["check-config", "--grpc-addr", "0.0.0.0:50051"];
    let printed = curriculum_in(&home.path(""), &variables, check).await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert!(
        printed.stdout.contains("read_keys_file = \"keys\""),
        "{printed:?}"
    );
    assert!(
        printed.stdout.contains("# keys travel in plain text"),
        "{printed:?}"
    );
    assert!(!printed.stdout.contains(READ), "{printed:?}");
}
