//! Read-only servers beside the one that publishes, over an S3-compatible store.

use curriculum_proto::v1::{self, Order, curriculum_service_client::CurriculumServiceClient};
use curriculum_tests::{
    Home, Launch, PATIENCE, Starting, TestServer,
    calls::{submission, weights_of},
    command::curriculum,
    data, http,
    s3::S3,
};
use std::{
    fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::watch,
};
use tonic::Code;

/// The longest that a replica may lag behind, on a machine that does not stall just then: of a few versions the
/// soonest counts.
const LAG: Duration = Duration::from_secs(5);

const WRITER: &str = "[model]\nthreads = 1\n[versions]\nurl = \"s3://shared/curricula\"\n";
const REPLICA: &str =
    "[versions]\nurl = \"s3://shared/curricula\"\nread_only = true\nrefresh_milliseconds = 500\n";

async fn launch(home: &Home, s3: &S3, settings: &str) -> TestServer {
    let _ = s3.bucket("shared");
    let variables = s3.settings();
    let variables: Vec<_> = variables.iter().map(|(k, v)| (&**k, &**v)).collect();
    let launch = Launch {
        settings,
        variables: &variables,
        ..Launch::default()
    };
    TestServer::launch(home, launch).await
}

/// A writer that has published a version of `c`.
async fn published(home: &Home, s3: &S3) -> (TestServer, String) {
    let writer = launch(home, s3, WRITER).await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(80));
    let version = writer.publish(submission("c", &source, 3)).await.version;
    (writer, version)
}

/// An address of the store that keeps requests for versions back until it is told otherwise.
async fn gate(s3: &S3) -> (String, watch::Sender<bool>) {
    let store = s3.endpoint().trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (open, opened) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from, mut to) = client.into_split();
            let store = TcpStream::connect(&store).await.unwrap();
            let (mut answers, mut requests) = store.into_split();
            tokio::spawn(async move { copy(&mut answers, &mut to).await });
            let mut opened = opened.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(count @ 1..) = from.read(&mut buffer).await {
                    let request = &buffer[..count];
                    if request.windows(10).any(|text| text == b"/versions/") {
                        let _ = opened.wait_for(|open| *open).await;
                    }
                    requests.write_all(request).await.unwrap();
                }
            });
        }
    });
    (url, open)
}

/// Runs a test beside a store, which has a runtime of its own.
fn with_store(test: impl AsyncFnOnce(&S3)) {
    let s3 = S3::start();
    Runtime::new().unwrap().block_on(test(&s3));
}

/// Seconds since nothing was left to copy.
fn behind(server: &TestServer) -> f64 {
    let success = server.metric("curriculum_replication_last_success_timestamp_seconds");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs_f64() - success
}

/// Asks until `server` answers with `version`.
async fn serves(server: &TestServer, curriculum: &str, version: &str) {
    let start = Instant::now();
    loop {
        let answer = server
            .weights(weights_of(curriculum, 0, Order::EasyFirst))
            .await;
        match answer {
            Ok(weights) if weights.header.version == version => return,
            Ok(_) | Err(_) if start.elapsed() < PATIENCE => {}
            other => panic!("{curriculum} is not {version}: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for an event that nothing announces.
async fn until(what: &str, event: impl Fn() -> bool) {
    let start = Instant::now();
    while !event() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn indices_of(curriculum: &str) -> v1::SampleIndicesRequest {
    v1::SampleIndicesRequest {
        curriculum: curriculum.to_owned(),
        iteration: 3,
        iterations: 2,
        batch: 32,
        seed: 5,
        ..v1::SampleIndicesRequest::default()
    }
}

#[test]
fn replicas_serve_what_is_published_with_the_same_bytes() {
    with_store(async |s3| {
        let homes = [Home::new(), Home::new(), Home::new()];
        let writer = launch(&homes[0], s3, WRITER).await;
        let replicas = [
            launch(&homes[1], s3, REPLICA).await,
            launch(&homes[2], s3, REPLICA).await,
        ];
        let source = homes[0].path("images.tar");
        data::write_tar(&source, &data::images(80));

        let (mut versions, mut soonest) = (Vec::new(), PATIENCE);
        for clusters in [3, 4, 5] {
            let version = writer
                .publish(submission("c", &source, clusters))
                .await
                .version;
            let published = Instant::now();
            for replica in &replicas {
                serves(replica, "c", &version).await;
            }
            soonest = soonest.min(published.elapsed());
            versions.push(version);
        }
        assert!(soonest < LAG, "after {soonest:?}");

        let pinned = format!("c@{}", versions[0]);
        let promoted = curriculum(["promote", &pinned, "prod", "--server", writer.url()]).await;
        assert_eq!(promoted.code, Some(0), "{promoted:?}");
        for replica in &replicas {
            serves(replica, "c@prod", &versions[0]).await;
            for name in ["c", "c@prod"] {
                for order in [Order::EasyFirst, Order::HardFirst] {
                    let asked = || weights_of(name, 7, order);
                    let here = replica.weights(asked()).await.unwrap();
                    let there = writer.weights(asked()).await.unwrap();
                    assert_eq!(here.bits(), there.bits());
                    assert_eq!(here.header.etag, there.header.etag);
                }
                let drawn = |server: &TestServer| {
                    let mut client = server.curricula();
                    async move {
                        client
                            .sample_indices(indices_of(name))
                            .await
                            .unwrap()
                            .into_inner()
                    }
                };
                assert_eq!(drawn(replica).await.indices, drawn(&writer).await.indices);
            }
        }

        for version in [&versions[2], &versions[0]] {
            let deleted = ["versions", "delete", "c", version, "--server", writer.url()];
            curriculum(deleted)
                .await
                .refused(match version == &versions[2] {
                    true => "latest",
                    false => "prod",
                });
        }
    });
}

/// What is not here yet is not said not to exist.
#[test]
fn nothing_is_answered_before_the_first_copy_is_whole() {
    with_store(async |s3| {
        let homes = [Home::new(), Home::new()];
        let (_writer, version) = published(&homes[0], s3).await;
        let catalogue = s3.bucket("shared").join("curricula/catalogue.json");
        until("it is published", || {
            fs::read_to_string(&catalogue).is_ok_and(|text| text.contains(&version))
        })
        .await;

        let (endpoint, open) = gate(s3).await;
        let mut variables = s3.settings();
        for (_, value) in &mut variables {
            *value = value.replace(&s3.endpoint(), &endpoint);
        }
        let variables: Vec<_> = variables.iter().map(|(k, v)| (&**k, &**v)).collect();
        let launch = Launch {
            settings: REPLICA,
            variables: &variables,
            ..Launch::default()
        };
        let starting = Starting::launch(&homes[1], launch).await;
        let copying = "starting: copying what is published\n";
        let probe = |path: &str| http::get(&format!("{}{path}", starting.side));
        until("it copies", || probe("/startupz").body == copying).await;
        // More than one look at the catalogue later, too.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        for path in ["/startupz", "/readyz"] {
            let answer = probe(path);
            assert_eq!((answer.status, &*answer.body), (503, copying), "{path}");
        }
        let mut client = CurriculumServiceClient::new(starting.channel().await);
        let listed = client.list_curricula(v1::ListCurriculaRequest::default());
        assert_eq!(listed.await.unwrap_err().code(), Code::Unavailable);
        let early = client.get_weights(weights_of("c", 0, Order::EasyFirst));
        assert_eq!(early.await.unwrap_err().code(), Code::Unavailable);

        open.send_replace(true);
        let replica = starting.ready().await;
        // The first answer has it.
        let weights = replica.weights(weights_of("c", 0, Order::EasyFirst)).await;
        assert_eq!(weights.unwrap().header.version, version);
        assert_eq!(http::get(&replica.side_url("/startupz")).status, 200);
    });
}

#[test]
fn a_server_that_copies_ends_at_once() {
    with_store(async |s3| {
        let home = Home::new();
        let _ = s3.bucket("shared");
        let variables = s3.settings();
        let variables: Vec<_> = variables.iter().map(|(k, v)| (&**k, &**v)).collect();
        let launch = Launch {
            settings: REPLICA,
            variables: &variables,
            ..Launch::default()
        };
        // Nothing is published here.
        let starting = Starting::launch(&home, launch).await;
        let probe = || http::get(&format!("{}/readyz", starting.side)).body;
        until("it copies", || probe().contains("copying")).await;
        assert!(starting.terminated().await.success());
    });
}

#[test]
fn what_is_deleted_goes_everywhere() {
    with_store(async |s3| {
        let homes = [Home::new(), Home::new()];
        let writer = launch(&homes[0], s3, WRITER).await;
        let replica = launch(&homes[1], s3, REPLICA).await;
        let source = homes[0].path("images.tar");
        data::write_tar(&source, &data::images(80));
        let first = writer.publish(submission("c", &source, 3)).await.version;
        let second = writer.publish(submission("c", &source, 4)).await.version;
        serves(&replica, "c", &second).await;
        let object = s3.bucket("shared").join("curricula/versions").join(&first);
        let pinned = || weights_of(&format!("c@{first}"), 0, Order::EasyFirst);
        assert!(object.is_file() && replica.weights(pinned()).await.is_ok());

        let deleted = ["versions", "delete", "c", &first, "--server", writer.url()];
        assert_eq!(curriculum(deleted).await.code, Some(0));
        let start = Instant::now();
        while object.exists() || replica.weights(pinned()).await.is_ok() {
            assert!(start.elapsed() < PATIENCE, "it is still there");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let gone = replica.weights(pinned()).await.unwrap_err();
        assert_eq!(gone.code(), Code::NotFound, "{gone}");
        serves(&replica, "c", &second).await;
    });
}

#[test]
fn a_replica_takes_nothing_in_and_outlives_store_and_writer() {
    with_store(async |s3| {
        let homes = [Home::new(), Home::new()];
        let (writer, version) = published(&homes[0], s3).await;
        let replica = launch(&homes[1], s3, REPLICA).await;
        serves(&replica, "c", &version).await;

        let refused = replica
            .submit(submission("c", &homes[0].path("images.tar"), 3))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("read-only"), "{refused}");

        writer.kill().await;
        replica.kill().await;
        // Without writer and store: what it has is on its own disk.
        fs::remove_dir_all(s3.bucket("shared")).unwrap();
        let replica = launch(&homes[1], s3, REPLICA).await;
        serves(&replica, "c", &version).await;
    });
}

#[test]
fn two_writers_do_not_share_a_folder() {
    with_store(async |s3| {
        let homes = [Home::new(), Home::new(), Home::new()];
        let (writer, version) = published(&homes[0], s3).await;
        let replica = launch(&homes[1], s3, REPLICA).await;
        serves(&replica, "c", &version).await;

        let other = launch(&homes[2], s3, WRITER).await;
        until("the other writer is refused", || {
            other.log().contains("belongs to another data folder")
        })
        .await;
        let catalogue = s3.bucket("shared").join("curricula/catalogue.json");
        assert!(fs::read_to_string(catalogue).unwrap().contains(&version));

        // The writer goes on where it was killed.
        writer.kill().await;
        let writer = launch(&homes[0], s3, WRITER).await;
        let source = homes[0].path("images.tar");
        let next = writer.publish(submission("c", &source, 4)).await.version;
        serves(&replica, "c", &next).await;
    });
}

#[test]
fn a_folder_of_its_own_does_not_become_a_copy() {
    with_store(async |s3| {
        let home = Home::new();
        let (writer, version) = published(&home, s3).await;
        writer.kill().await;
        let data = home.data();
        let refused = curriculum([
            "serve",
            "--read-only",
            "--versions",
            "s3://other/place",
            "--http-addr",
            "off",
            "--grpc-addr",
            "127.0.0.1:0",
            "--data-dir",
            data.to_str().unwrap(),
        ])
        .await;
        assert_ne!(refused.code, Some(0));
        assert!(refused.stderr.contains("of its own"), "{refused:?}");
        let writer = launch(&home, s3, WRITER).await;
        serves(&writer, "c", &version).await;
    });
}

#[test]
fn a_damaged_version_keeps_back_its_own_curriculum_only() {
    with_store(async |s3| {
        let homes = [Home::new(), Home::new()];
        let writer = launch(&homes[0], s3, WRITER).await;
        let source = homes[0].path("images.tar");
        data::write_tar(&source, &data::images(80));
        let damaged = writer
            .publish(submission("damaged", &source, 3))
            .await
            .version;
        let sound = writer
            .publish(submission("sound", &source, 4))
            .await
            .version;
        let objects = s3.bucket("shared").join("curricula/versions");
        until("both are published", || {
            objects.join(&sound).is_file() && objects.join(&damaged).is_file()
        })
        .await;
        let mut bytes = fs::read(objects.join(&damaged)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(objects.join(&damaged), &bytes).unwrap();

        let replica = launch(&homes[1], s3, REPLICA).await;
        serves(&replica, "sound", &sound).await;
        let missing = replica
            .weights(weights_of("damaged", 0, Order::EasyFirst))
            .await;
        assert_eq!(missing.unwrap_err().code(), Code::NotFound);
        assert!(replica.log().contains(&damaged), "{}", replica.log());
        until("the writer has copied all", || {
            behind(&writer) < LAG.as_secs_f64()
        })
        .await;
        assert!(behind(&replica) > 1e9, "it has never had all");
        let ready = replica.side_url("/readyz");
        until("it is ready", || http::get(&ready).status == 200).await;
        assert_eq!(http::get(&ready).body, "ok, read-only\n");

        bytes[middle] ^= 1;
        fs::write(objects.join(&damaged), &bytes).unwrap();
        serves(&replica, "damaged", &damaged).await;
        until("nothing is left to copy", || {
            behind(&replica) < LAG.as_secs_f64()
        })
        .await;
    });
}
