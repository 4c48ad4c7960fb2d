//! Settings and the data folder: what a server refuses to start with.

use curriculum_proto::v1::Order;
use curriculum_tests::{
    Home, TestServer,
    calls::{submission, weights_of},
    command::{curriculum, curriculum_in},
    data,
};
use std::{collections::BTreeSet, fs, path::Path};

#[tokio::test]
async fn a_data_folder_in_use_is_refused_and_left_alone() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(64));
    server.publish(submission("c", &source, 3)).await;
    let before = (home.feature_chunks(), tree(&home.data()));

    let data_dir = home.data().to_str().unwrap().to_owned();
    let second = curriculum([
        "serve",
        "--grpc-addr",
        "127.0.0.1:0",
        "--http-addr",
        "off",
        "--data-dir",
        &data_dir,
    ])
    .await;
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(
        second.stderr.contains("in use by another process"),
        "{second:?}"
    );
    assert!(
        second.stderr.contains(&data_dir) && second.stdout.is_empty(),
        "{second:?}"
    );

    assert_eq!((home.feature_chunks(), tree(&home.data())), before);
    server
        .weights(weights_of("c", 0, Order::EasyFirst))
        .await
        .unwrap();
}

#[tokio::test]
async fn bad_settings_name_the_key() {
    let home = Home::new();
    let settings = home.path("settings.toml");
    let file = settings.to_str().unwrap();
    let text = |text: &str| fs::write(&settings, text).unwrap();
    for (toml, key) in [
        ("[grpc]\nadr = \"x\"\n", "adr"),
        ("[model]\nthreads = \"many\"\n", "threads"),
        ("[model]\nbatch_size = 5000\n", "model.batch_size"),
        ("[model\n", "TOML"),
        ("[log]\nfilter = \"x=loud\"\n", "log.filter"),
    ] {
        text(toml);
        for command in ["serve", "check-config"] {
            let refused = curriculum_in(&home.path(""), &[], [command, "--config", file]).await;
            assert_eq!(refused.code, Some(2), "{refused:?}");
            assert!(refused.stderr.contains(key), "{key}: {refused:?}");
        }
    }
    for (toml, reason) in [
        ("[model]\nname = \"nobody\"\n", "nobody"),
        ("[model]\nlayer = \"block:99\"\n", "block:99"),
    ] {
        text(toml);
        let check = ["check-config", "--config", file];
        let refused = curriculum_in(&home.path(""), &[], check).await;
        refused.refused(reason);
    }
    // Another machine may have it.
    text("[model]\nname = \"elsewhere.onnx\"\n");
    let checked = curriculum_in(&home.path(""), &[], ["check-config", "--config", file]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(
        checked.stdout.contains("# not on this machine: "),
        "{checked:?}"
    );
    for (variable, key) in [
        ("CURRICULUM__GRPC__ADR", "adr"),
        ("CURRICULUM__GRCP__ADDR", "grcp"),
    ] {
        let refused = curriculum_in(&home.path(""), &[(variable, "x")], ["serve"]).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        for text in [key, "environment"] {
            assert!(refused.stderr.contains(text), "{text}: {refused:?}");
        }
    }
    let absent = curriculum_in(&home.path(""), &[], ["serve", "--config", "absent.toml"]).await;
    assert_eq!(absent.code, Some(2), "{absent:?}");
    assert!(!home.path("curriculum-data").exists());
}

#[tokio::test]
async fn flags_win_over_the_environment_and_that_over_the_file() {
    let home = Home::new();
    fs::write(
        home.path("settings.toml"),
        "[model]\nbatch_size = 11\nthreads = 12\n[grpc]\ndrain_seconds = 13\n",
    )
    .unwrap();
    let variables = [
        ("CURRICULUM__MODEL__BATCH_SIZE", "21"),
        ("CURRICULUM__MODEL__THREADS", "22"),
    ];
    let arguments = [
        "check-config",
        "--config",
        "settings.toml",
        "--threads",
        "32",
    ];
    let printed = curriculum_in(&home.path(""), &variables, arguments).await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    for line in [
        "threads = 32",
        "batch_size = 21",
        "drain_seconds = 13",
        "max_concurrent_requests = 4096",
    ] {
        assert!(
            printed.stdout.lines().any(|printed| printed == line),
            "{line}: {printed:?}"
        );
    }
}

/// Names of all files and folders under `folder`.
fn tree(folder: &Path) -> BTreeSet<std::path::PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        }
        found.insert(path);
    }
    found
}
