//! `curriculum push`: samples of this machine, and jobs on them.

use curriculum_proto::v1::Order;
use curriculum_tests::{
    Home, Launch, Relay, TestServer,
    calls::{submission, weights_of},
    command::{curriculum, submit},
    data,
};

#[tokio::test]
async fn pushed_images_give_the_version_of_the_folder() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let images = data::images(96);
    let folder = home.path("folder");
    data::write_folder(&folder, &images);
    let read = server.publish(submission("read", &folder, 4)).await;
    let arguments = [
        "push",
        folder.to_str().unwrap(),
        "--id",
        "p",
        "--submit",
        "--name",
        "pushed",
        "--clusters",
        "4",
        "--wait",
        "--json",
        "--server",
        server.url(),
    ];
    let pushed = curriculum(arguments).await.json();
    assert_eq!(pushed["version"], read.version.as_str());
    let listed = curriculum(["jobs", "--json", "--server", server.url()]).await;
    assert!(listed.stdout.contains("\"pushed:p\""), "{}", listed.stdout);
    // Once more: nothing is sent, and the job is known.
    let again = curriculum(arguments).await.json();
    assert_eq!(
        (&again["created"], &again["job"]),
        (&false.into(), &pushed["job"])
    );

    let other = home.path("other");
    data::write_folder(&other, &images[..40]);
    let refused = curriculum([
        "push",
        other.to_str().unwrap(),
        "--id",
        "p",
        "--server",
        server.url(),
    ])
    .await;
    refused.refused("another source");
}

/// A file without bytes is a failed sample of the job, as where the server reads the folder itself.
#[tokio::test]
async fn an_empty_image_ends_no_push() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let folder = home.path("folder");
    data::write_folder(&folder, &data::images(40));
    let class = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    std::fs::write(class.path().join("empty.png"), b"").unwrap();
    let folder = folder.to_str().unwrap();
    let rest = "--name c --clusters 3 --max-failed-fraction 0.1 --wait --json --server";
    let flags = || rest.split(' ').chain([server.url()]);
    let pushed = ["push", folder, "--id", "p", "--submit"].into_iter();
    let pushed = curriculum(pushed.chain(flags())).await.json();
    let read = curriculum(["submit", folder].into_iter().chain(flags())).await;
    assert_eq!(pushed["failed"], 1, "{pushed}");
    assert_eq!(pushed["version"], read.json()["version"]);
}

#[tokio::test]
async fn a_push_survives_a_restart_of_the_server() {
    let home = Home::new();
    // Megabytes, so that the restart falls into the push.
    let source = data::write_slow_jsonl(&home.path("images"), 4_000, 400);
    let server = TestServer::start(&home).await;
    let relay = Relay::to(&server).await;
    let state = home.data().join("pushed/p/samples.bin");
    let manifest = home.data().join("pushed/p/manifest.jsonl");
    let arguments = [
        "push",
        source.to_str().unwrap(),
        "--id",
        "p",
        "--json",
        "--server",
        relay.url(),
    ];
    let restart = async {
        while std::fs::metadata(&state).map_or(0, |file| file.len()) == 0 {
            tokio::task::yield_now().await;
        }
        server.kill().await;
        let rows = std::fs::read_to_string(&manifest).map_or(0, |rows| rows.lines().count());
        assert!(rows < 4_000, "the push was whole before the kill");
        let server = TestServer::start(&home).await;
        relay.turn_to(&server);
        server
    };
    let (pushed, _server) = tokio::join!(curriculum(arguments), restart);
    let pushed = pushed.json();
    assert_eq!(
        (&pushed["samples"], &pushed["complete"]),
        (&4_000.into(), &true.into())
    );
    let manifest = std::fs::read_to_string(manifest).unwrap();
    assert_eq!(manifest.lines().count(), 4_000);
    let bytes = std::fs::read(&state).unwrap();
    for (index, line) in manifest.lines().enumerate() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["id"], format!("sample-{index}"));
        let at = row["offset"].as_u64().unwrap() as usize;
        assert_eq!(&bytes[at + 1..at + 4], b"PNG", "{index}");
    }
}

#[tokio::test]
async fn pushed_features_go_straight_to_difficulty() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let file = home.path("features.npy");
    let value = |index: usize| (index % 61) as f32 / 61.0 + (index / 500) as f32;
    let items: Vec<u8> = (0..8_000)
        .flat_map(|index| value(index).to_le_bytes())
        .collect();
    data::write_npy(&file, "<f4", false, "(1000, 8)", &items);
    let arguments = [
        "push",
        file.to_str().unwrap(),
        "--id",
        "f",
        "--submit",
        "--name",
        "c",
        "--clusters",
        "3",
        "--wait",
        "--json",
        "--server",
        server.url(),
    ];
    let pushed = curriculum(arguments).await.json();
    assert_eq!(
        (&pushed["state"], &pushed["samples"]),
        (&"succeeded".into(), &1_000.into())
    );
    let read = server.publish(submission("read", &file, 3)).await;
    let weights = async |name: &str| {
        let weights = server.weights(weights_of(name, 0, Order::EasyFirst)).await;
        weights.unwrap().bits()
    };
    assert_eq!(weights("c").await, weights("read").await);
    assert_eq!(read.sample_count, 1_000);
}

/// Without a list, a server that others can reach reads nothing, but takes what is pushed.
#[tokio::test]
async fn a_server_reads_only_what_its_settings_allow() {
    let home = Home::new();
    let (inside, outside) = (home.path("inside"), home.path("outside"));
    for folder in [&inside, &outside] {
        data::write_folder(folder, &data::images(40));
    }
    let allow = inside.to_str().unwrap();
    let settings = format!("[model]\nthreads = 1\n[sources]\nallow = [\"{allow}\"]\n");
    let launch = Launch {
        settings: &settings,
        ..Launch::default()
    };
    let server = TestServer::launch(&home, launch).await;
    let _job = submit(server.url(), &inside, 2, &[]).await.json();
    let refused = submit(server.url(), &outside, 2, &[]).await;
    refused.refused("sources.allow");
    assert!(refused.stderr.contains("PermissionDenied"), "{refused:?}");
    let pushed = curriculum([
        "push",
        outside.to_str().unwrap(),
        "--id",
        "p",
        "--submit",
        "--name",
        "pushed",
        "--clusters",
        "2",
        "--wait",
        "--json",
        "--server",
        server.url(),
    ])
    .await;
    assert_eq!(pushed.json()["state"], "succeeded");
    let absent = curriculum([
        "submit",
        "pushed:q",
        "--name",
        "c",
        "--server",
        server.url(),
    ])
    .await;
    absent.refused("no push `q`");
}
