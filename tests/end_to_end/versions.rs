//! Versions by name: aliases that people move, files that stand for a version, and data folders that
//! are checked and cleaned.

use curriculum_proto::v1::Order;
use curriculum_tests::{
    Home, Outcome, TestServer,
    calls::{parameters, submission, weights_of},
    command::curriculum,
    data,
};
use std::{fs, path::Path};

/// A server with two versions of `c`, oldest first.
async fn two_versions(home: &Home) -> (TestServer, [String; 2]) {
    let server = TestServer::start(home).await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(80));
    let first = server.publish(submission("c", &source, 3)).await.version;
    let second = server.publish(submission("c", &source, 4)).await.version;
    (server, [first, second])
}

async fn run(server: &TestServer, arguments: &[&str]) -> Outcome {
    curriculum(arguments.iter().chain(&["--server", server.url()])).await
}

async fn version_of(server: &TestServer, name: &str) -> String {
    let weights = server.weights(weights_of(name, 0, Order::EasyFirst)).await;
    weights.unwrap().header.version
}

#[tokio::test]
async fn aliases_move_and_pins_do_not() {
    let home = Home::new();
    let (server, [first, second]) = two_versions(&home).await;
    let pinned = format!("c@{first}");
    let promoted = run(&server, &["promote", &pinned, "prod", "--json"]).await;
    assert_eq!(promoted.json()["version"], first.as_str());
    for (name, version) in [
        ("c", &second),
        ("c@latest", &second),
        ("c@prod", &first),
        (pinned.as_str(), &first),
    ] {
        assert_eq!(version_of(&server, name).await, *version, "{name}");
        let inspected = run(&server, &["inspect", name, "--json"]).await.json();
        assert_eq!(inspected["version"], version.as_str(), "{name}");
        let weights = ["weights", name, "--iteration", "1", "--json"];
        assert_eq!(
            run(&server, &weights).await.json()["version"],
            version.as_str()
        );
    }
    run(&server, &["promote", "c", "prod"]).await;
    assert_eq!(version_of(&server, "c@prod").await, second);
    assert_eq!(version_of(&server, &pinned).await, first);
    let back = run(&server, &["rollback", "c", "prod", "--json"]).await;
    assert_eq!(back.json()["version"], first.as_str());
    run(&server, &["rollback", "c", "prod"])
        .await
        .refused("before");
    run(&server, &["promote", "c", "latest"])
        .await
        .refused("latest");
    run(&server, &["promote", "absent", "prod"])
        .await
        .refused("absent");
    run(&server, &["inspect", "c@stage"]).await.refused("stage");
    run(&server, &["inspect", "c@prod", "--pin", &first])
        .await
        .refused("version");

    let listed = run(&server, &["versions", "list", "c", "--json"])
        .await
        .json();
    assert_eq!(listed[0]["version"], second.as_str());
    assert_eq!(listed[1]["aliases"], serde_json::json!(["prod"]));
    run(&server, &["versions", "delete", "c", &first])
        .await
        .refused("prod");
    run(&server, &["versions", "delete", "c", &second])
        .await
        .refused("latest");
    run(&server, &["promote", "c", "prod"]).await;
    let deleted = run(&server, &["versions", "delete", "c", &first]).await;
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    run(&server, &["inspect", &pinned]).await.refused(&first);
    assert_eq!(version_of(&server, "c@prod").await, second);
}

#[tokio::test]
async fn a_version_moves_to_another_server_as_one_file() {
    let home = Home::new();
    let (server, [first, _]) = two_versions(&home).await;
    let file = home.path("v.curriculum");
    let path = file.to_str().unwrap();
    let exported = run(
        &server,
        &["export", "c", "--pin", &first, "--out", path, "--json"],
    )
    .await;
    assert_eq!(exported.json()["version"], first.as_str());
    let request = |name: &str| {
        let mut request = weights_of(name, 7, Order::HardFirst);
        request.version.clone_from(&first);
        request
    };
    let here = server.weights(request("c")).await.unwrap();

    let elsewhere = Home::new();
    let other = TestServer::start(&elsewhere).await;
    let imported = run(&other, &["import", path, "--name", "copy", "--json"]).await;
    assert_eq!(imported.json()["version"], first.as_str());
    let there = other.weights(request("copy")).await.unwrap();
    assert_eq!(there.bits(), here.bits());
    assert_eq!(there.entry(), here.entry());
    let table = home.path("t.parquet");
    let copied = run(
        &other,
        &["export", "copy", "--out", table.to_str().unwrap()],
    )
    .await;
    assert_eq!(copied.code, Some(0), "{copied:?}");

    // Neither a flipped bit nor a missing end is taken, and nothing of it stays.
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (name, bytes) in [
        ("flipped", &flipped[..]),
        ("cut", &whole[..whole.len() - 10]),
    ] {
        fs::write(&file, bytes).unwrap();
        let refused = run(&other, &["import", path, "--name", name]).await;
        assert_eq!(refused.code, Some(3), "{name}: {refused:?}");
        run(&other, &["inspect", name]).await.refused(name);
    }
    run(&other, &["import", "no-such-file", "--name", "x"])
        .await
        .refused("no-such-file");
}

#[tokio::test]
async fn data_folders_are_checked_and_cleaned() {
    let home = Home::new();
    let (server, _) = two_versions(&home).await;
    let folder = home.data();
    let folder = folder.to_str().unwrap();
    curriculum(["verify", folder]).await.refused("in use");
    server.terminate();
    assert!(server.exited().await.success());

    let sound = curriculum(["verify", folder, "--json"]).await.json();
    assert_eq!(
        (&sound["complete"], &sound["damaged_count"]),
        (&true.into(), &0.into())
    );
    assert_eq!(sound["checked"]["versions"]["count"], 2);
    let table = curriculum(["verify", folder]).await;
    assert_eq!(table.code, Some(0), "{table:?}");
    let before = files(Path::new(folder));
    let garbage = curriculum(["gc", folder, "--dry-run", "--json"])
        .await
        .json();
    assert_eq!(
        (&garbage["dry_run"], &garbage["complete"]),
        (&true.into(), &true.into())
    );
    assert_eq!(files(Path::new(folder)).len(), before.len());
    let cleaned = curriculum(["gc", folder]).await;
    assert_eq!(cleaned.code, Some(0), "{cleaned:?}");
    assert_eq!(curriculum(["verify", folder]).await.code, Some(0));

    let column = files(&home.data().join("columns")).remove(0);
    let mut bytes = fs::read(&column).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&column, bytes).unwrap();
    let damaged = curriculum(["verify", folder]).await;
    assert_eq!(damaged.code, Some(3), "{damaged:?}");
    assert!(
        damaged.stderr.contains("1 values are damaged"),
        "{damaged:?}"
    );
    curriculum(["verify", home.path("absent").to_str().unwrap()])
        .await
        .refused("absent");
}

/// All files below `folder`, sorted.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn an_extended_version_says_how_far_its_new_samples_drift() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let (small, grown) = (home.path("small.tar"), home.path("grown.tar"));
    data::write_tar(&small, &data::images(80));
    data::write_tar(&grown, &data::images(100));
    let base = server.publish(submission("c", &small, 3)).await.version;
    run(&server, &["promote", "c", "prod"]).await;
    let grown = grown.to_str().unwrap();
    let submit = [
        "submit", grown, "--name", "c", "--extend", "prod", "--wait", "--json",
    ];
    let extended = run(&server, &submit).await.json();
    assert_ne!(extended["version"], base.as_str());
    let inspected = run(&server, &["inspect", "c", "--json"]).await.json();
    let drift = &inspected["drift"];
    assert_eq!(drift["extends"], base.as_str(), "{inspected}");
    assert_eq!((&drift["kept"], &drift["added"]), (&80.into(), &20.into()));
    assert_eq!(drift["clusters"].as_array().unwrap().len(), 3);
    let text = run(&server, &["inspect", "c"]).await;
    assert!(text.stdout.contains("80 samples kept, 20 new"), "{text:?}");
    let absent = ["submit", grown, "--name", "c", "--extend", "stage"];
    run(&server, &absent).await.refused("stage");
}

#[tokio::test]
async fn only_jobs_with_failed_samples_are_tried_again() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let mut images = data::images(64);
    let good = home.path("good.tar");
    data::write_tar(&good, &images);
    images[5].bytes = b"not an image".to_vec();
    let broken = home.path("broken.tar");
    data::write_tar(&broken, &images);
    let mut request = submission("c", &broken, 2);
    parameters(&mut request).max_failed_fraction = Some(0.1);
    let job = server.publish(request).await;
    assert_eq!((job.failed_count, job.attempt), (1, 1), "{job:?}");

    let retry = ["jobs", &job.id, "--retry", "--watch", "--json"];
    let retried = run(&server, &retry).await.json();
    assert_eq!(
        (&retried["state"], &retried["failed"]),
        (&"succeeded".into(), &1.into())
    );
    assert_eq!(retried["attempt"], 2, "{retried}");
    assert_eq!(retried["errors"][0]["index"], 5, "{retried}");

    // A file that was repaired is another source; the job stays as it was.
    std::fs::copy(&good, &broken).unwrap();
    run(&server, &["jobs", &job.id, "--retry"])
        .await
        .refused("submit it again");
    let kept = run(&server, &["jobs", &job.id, "--json"]).await.json();
    assert_eq!(
        (&kept["state"], &kept["failed"]),
        (&"succeeded".into(), &1.into())
    );
    assert_eq!(kept["version"], retried["version"]);

    let sound = server.publish(submission("d", &good, 2)).await;
    run(&server, &["jobs", &sound.id, "--retry"])
        .await
        .refused("no sample");
}
