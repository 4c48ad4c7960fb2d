//! Pulling models from a hub on this machine, whatever the hub and the line do.

#![expect(clippy::unwrap_used, reason = "a test stops where its set-up fails")]

mod scene;
#[path = "../../../../tests/harness/hub.rs"]
#[expect(unreachable_pub, reason = "shared with the end-to-end tests")]
mod server;

use std::fs;
use std::thread;
use std::time::Duration;

use curriculum_extractor::Model;
use curriculum_extractor::hub::{HubError, Outcome, Progress, Token, pull};
use scene::{NAME, Scene, content, sha256};
use server::{COMMIT, Fault};

#[test]
fn a_pull_verifies_and_pins() {
    let scene = Scene::new();
    let error = scene.load().unwrap_err().to_string();
    assert!(
        error.contains("curriculum models pull dino_vits16"),
        "{error}"
    );

    scene.pulls(Outcome::Downloaded);
    let model = scene.load().unwrap();
    assert_eq!(model.entry().output, "last_hidden_state");
    assert_eq!(model.size(), 2_800_000);
    // The file can be used by its path as well, to the same effect.
    let by_path = Model::from_file(&scene.model()).unwrap();
    assert_eq!(by_path.digest(), model.digest());

    scene.pulls(Outcome::UpToDate);
    let seen = scene.hub.state().seen.clone();
    let paths: Vec<_> = seen
        .iter()
        .map(|seen| (seen.method.as_str(), seen.path.as_str()))
        .collect();
    let of = |revision| format!("/Xenova/dino-vits16/resolve/{revision}/onnx/model.onnx");
    let (main, commit) = (of("main"), of(COMMIT));
    assert_eq!(
        paths,
        [
            ("HEAD", main.as_str()),
            ("GET", &commit),
            ("GET", "/blob/file?signature=1"),
            ("HEAD", &main)
        ]
    );
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let mut scene = Scene::new();
    scene.hub.state().token = Some("hf_secret".to_owned());
    let error = scene.refused(&["401", "HF_TOKEN"]);
    assert!(matches!(error, HubError::Denied { token: false, .. }));

    scene.options.token = Token::new("hf_wrong");
    let error = scene.refused(&["401", "has no access"]);
    assert!(!error.to_string().contains("hf_wrong"));

    scene.options.token = Token::new("hf_secret");
    // A repository that was renamed is still the hub's.
    scene.hub.state().renamed = true;
    scene.pulls(Outcome::Downloaded);
    let seen = scene.hub.state().seen.clone();
    assert!(seen.iter().any(|seen| seen.path.starts_with("/renamed/")));
    for seen in &seen[2..] {
        let expected = (!seen.storage).then_some("Bearer hf_secret");
        assert_eq!(seen.authorization.as_deref(), expected, "{seen:?}");
    }
}

#[test]
fn broken_connections_resume() {
    for fault in [Fault::Cut(1_000_000), Fault::Stall(1_000_000)] {
        let mut scene = Scene::new();
        // Long enough for a busy machine to send what it does send.
        scene.options.stall_timeout = Duration::from_secs(1);
        scene.hub.state().faults.push_back(fault);
        let mut retries = Vec::new();
        let pulled = pull(NAME, &scene.options, &mut |progress| match progress {
            Progress::Retrying { reason } => retries.push(reason),
            Progress::Downloading { done, total } => {
                assert!(done <= 2_800_000 && total == Some(2_800_000));
            }
            Progress::Waiting => panic!("nobody else pulls"),
        });
        assert_eq!(pulled.unwrap().outcome, Outcome::Downloaded);
        assert_eq!(retries.len(), 1, "{retries:?}");
        assert_eq!(scene.ranges(), [None, Some("bytes=1000000-".to_owned())]);
    }
}

#[test]
fn a_later_pull_goes_on_with_the_rest() {
    let mut scene = Scene::new();
    scene.options.retries = 0;
    scene.hub.state().faults.push_back(Fault::Cut(500));
    assert!(matches!(
        scene.refused(&["kept"]),
        HubError::Unreachable { .. }
    ));
    assert_eq!(scene.parts().len(), 1);
    scene.pulls(Outcome::Downloaded);
    assert_eq!(scene.ranges(), [None, Some("bytes=500-".to_owned())]);
}

#[test]
fn progress_earns_more_attempts() {
    let scene = Scene::new();
    // More faults than retries, but each after more than a MiB, or none at all.
    let faults = [
        Fault::Cut(1 << 20),
        Fault::Status(503),
        Fault::Cut(1 << 20),
        Fault::Status(429),
    ];
    scene.hub.state().faults.extend(faults);
    scene.hub.state().hiccups.extend([500, 503]);
    scene.pulls(Outcome::Downloaded);

    let scene = Scene::new();
    scene.hub.state().faults.extend([Fault::Cut(9); 3]);
    assert!(matches!(
        scene.refused(&["kept"]),
        HubError::Unreachable { .. }
    ));
    assert_eq!(scene.hub.downloads().len(), 3);
}

#[test]
fn a_server_without_ranges_starts_over() {
    let scene = Scene::new();
    let faults = [Fault::Cut(1000), Fault::NoRanges];
    scene.hub.state().faults.extend(faults);
    scene.pulls(Outcome::Downloaded);
}

#[test]
fn a_wrong_checksum_is_refused() {
    let scene = Scene::new();
    let promised = sha256(b"another");
    scene.hub.state().sha256 = Some(promised.clone());
    scene.refused(&[&promised, &sha256(&content(0)), "removed"]);
    assert!(!scene.model().exists() && scene.parts().is_empty());
}

#[test]
fn an_unreadable_pin_is_replaced_by_a_refresh() {
    let mut scene = Scene::new();
    scene.pulls(Outcome::Downloaded);
    let pin = scene.model().with_file_name("pin.toml");
    assert!(pin.is_file());
    fs::write(&pin, "from = \"another version\"").unwrap();
    scene.refused(&["pin.toml"]);
    scene.options.refresh = true;
    scene.pull().unwrap();
    scene.options.refresh = false;
    scene.pulls(Outcome::UpToDate);
}

#[test]
fn a_changed_file_needs_a_refresh() {
    let mut scene = Scene::new();
    scene.pulls(Outcome::Downloaded);
    scene.serve(content(5));
    let digests = [sha256(&content(0)), sha256(&content(5))];
    scene.refused(&[&digests[0], &digests[1], "--refresh"]);
    assert_eq!(scene.hub.downloads().len(), 1);
    assert!(scene.load().is_ok());

    scene.options.refresh = true;
    scene.pulls(Outcome::Downloaded);
    scene.options.refresh = false;
    scene.pulls(Outcome::UpToDate);
    assert!(scene.load().is_ok());
}

#[test]
fn a_file_changed_on_disk_is_never_used() {
    let mut scene = Scene::new();
    scene.pulls(Outcome::Downloaded);
    fs::write(scene.model(), "else").unwrap();
    let error = scene.load().unwrap_err().to_string();
    for digest in [sha256(&content(0)), sha256(b"else")] {
        assert!(error.contains(&digest), "{error}");
    }
    scene.options.offline = true;
    scene.refused(&["offline"]);
    scene.options.offline = false;
    scene.pulls(Outcome::Downloaded);
    assert!(scene.load().is_ok());
}

#[test]
fn a_hub_without_checksums_is_pinned_all_the_same() {
    let scene = Scene::new();
    scene.hub.state().sha256 = None;
    scene.pulls(Outcome::DownloadedUnchecked);
    scene.pulls(Outcome::Cached);
    scene.hub.state().content = content(5);
    fs::remove_file(scene.model()).unwrap();
    assert!(matches!(
        scene.refused(&["--refresh"]),
        HubError::Changed { .. }
    ));
}

#[test]
fn offline_uses_the_cache_or_fails() {
    let mut scene = Scene::new();
    scene.options.offline = true;
    assert!(matches!(scene.refused(&[NAME]), HubError::Offline { .. }));
    scene.options.offline = false;
    scene.pulls(Outcome::Downloaded);
    let asked = scene.hub.state().seen.len();
    scene.options.offline = true;
    scene.pulls(Outcome::Cached);
    assert_eq!(scene.hub.state().seen.len(), asked);
}

#[test]
fn a_hub_that_is_away_is_no_obstacle_to_the_cache() {
    let mut scene = Scene::new();
    // A port that nobody listens on any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let away = format!("http://{port}");
    let there = std::mem::replace(&mut scene.options.endpoint, away.clone());
    assert!(matches!(
        scene.refused(&[&away]),
        HubError::Unreachable { .. }
    ));
    scene.options.endpoint = there;
    scene.pulls(Outcome::Downloaded);
    scene.options.endpoint = away;
    scene.pulls(Outcome::Cached);
}

#[test]
fn answers_that_are_no_file_say_so() {
    for (status, words) in [
        (403, &["403", "HF_TOKEN"][..]),
        (404, &["/resolve/main/onnx/model.onnx", "does not exist"]),
        (418, &["status 418"]),
        (502, &["status 502"]),
    ] {
        let scene = Scene::new();
        scene.hub.state().status = Some(status);
        scene.refused(words);
    }
    let scene = Scene::new();
    scene.hub.state().size = 5 << 30;
    scene.refused(&["4 GiB"]);
    scene.hub.state().size = 1000;
    scene.refused(&["more than the 1000 bytes"]);
    assert!(scene.parts().is_empty());
}

#[test]
fn names_and_settings_are_checked() {
    let mut scene = Scene::new();
    let refused = |name: &str| {
        pull(name, &scene.options, &mut |_| {})
            .unwrap_err()
            .to_string()
    };
    assert!(refused("dino_fashion").contains("nothing to pull"));
    assert!(refused("dino_vits17").contains("dino_vits16"));
    assert!(scene.hub.state().seen.is_empty());
    for endpoint in ["", "huggingface.co/", "ftp://hub", "https://user:word@hub"] {
        scene.options.endpoint = endpoint.to_owned();
        assert!(matches!(
            scene.refused(&["http(s)://"]),
            HubError::BadEndpoint { .. }
        ));
    }
    // Who does not speak TLS is not spoken to.
    scene.options.endpoint = scene.hub.endpoint.replace("http:", "https:");
    scene.refused(&["https://127.0.0.1"]);
    scene.options.endpoint = scene.hub.endpoint.clone();
    scene.options.token = Token::new("hf_a\nb");
    assert!(!scene.refused(&["printable"]).to_string().contains("hf_a"));
    scene.options.cache = scene.cache.path().join("file");
    fs::write(&scene.options.cache, "").unwrap();
    assert!(matches!(
        scene.refused(&["cannot write"]),
        HubError::CannotWrite { .. }
    ));
}

#[test]
fn pulls_at_once_download_once() {
    let scene = Scene::new();
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let pulls: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| scene.pull().unwrap().outcome))
            .collect();
        pulls.into_iter().map(|pull| pull.join().unwrap()).collect()
    });
    let downloaded = outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Downloaded);
    assert_eq!(
        (downloaded.count(), scene.hub.downloads().len()),
        (1, 1),
        "{outcomes:?}"
    );
}
