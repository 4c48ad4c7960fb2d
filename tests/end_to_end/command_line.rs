//! The commands a pipeline runs, with their exit codes.

use curriculum_proto::v1;
use curriculum_tests::{
    Home, Outcome, PATIENCE, TestServer,
    command::{curriculum, curriculum_in},
    data,
};
use ndarray::Array1;
use std::path::PathBuf;
use tokio::time::timeout;

#[tokio::test]
async fn a_pipeline_submits_waits_and_reads_weights() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let source = small(&home);
    let submit = |flags: &'static [&'static str]| {
        let command = [
            "submit",
            &source,
            "--name",
            "c",
            "--clusters",
            "3",
            "--server",
            server.url(),
        ];
        curriculum(
            command
                .map(str::to_owned)
                .into_iter()
                .chain(flags.iter().map(|f| (*f).to_owned())),
        )
    };
    let submitted = submit(&["--wait", "--json"]).await;
    assert!(
        submitted.stderr.contains("submitted") || submitted.stderr.contains("enumerated"),
        "no progress"
    );
    let submitted = submitted.json();
    assert_eq!(submitted["created"], true);
    assert_eq!(submitted["state"], "succeeded");
    assert_eq!(
        (&submitted["samples"], &submitted["failed"]),
        (&80.into(), &0.into())
    );
    let (job, version) = (
        submitted["job"].as_str().unwrap(),
        submitted["version"].as_str().unwrap(),
    );

    let again = submit(&["--wait", "--json"]).await.json();
    assert_eq!(
        (&again["created"], &again["job"]),
        (&false.into(), &job.into())
    );
    let text = submit(&["--wait"]).await;
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(
        text.stdout.contains("is known") && text.stdout.contains(version),
        "{text:?}"
    );

    let jobs = curriculum(["jobs", "--json", "--server", server.url()])
        .await
        .json();
    assert_eq!(
        (jobs[0]["id"].as_str(), jobs.as_array().unwrap().len()),
        (Some(job), 1)
    );
    let shown = curriculum(["jobs", job, "--server", server.url()]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(
        shown.stdout.contains(version) && shown.stdout.contains("extracted"),
        "{shown:?}"
    );

    let weights = read_weights(&home, server.url(), version).await;
    assert_eq!(weights.len(), 80);
    let sum: f64 = weights.iter().map(|w| f64::from(*w)).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{sum}");

    let inspected = curriculum(["inspect", "c", "--server", server.url()]).await;
    assert_eq!(inspected.code, Some(0), "{inspected:?}");
    assert!(inspected.stdout.contains(version), "{inspected:?}");
}

/// `curriculum weights --out`, with the address from the environment.
async fn read_weights(home: &Home, url: &str, version: &str) -> Array1<f32> {
    let variables = [("CURRICULUM__SERVER", url)];
    let arguments = [
        "weights",
        "c",
        "--iteration",
        "3",
        "--out",
        "w.npy",
        "--pin",
        version,
        "--json",
    ];
    let answer = curriculum_in(&home.path(""), &variables, arguments)
        .await
        .json();
    assert_eq!(
        (&answer["version"], &answer["iteration"]),
        (&version.into(), &3.into())
    );
    assert_eq!(
        (&answer["samples"], &answer["status"]),
        (&80.into(), &"ok".into())
    );
    ndarray_npy::read_npy(home.path("w.npy")).unwrap()
}

#[tokio::test]
async fn every_parameter_of_a_job_is_shown_again() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let source = small(&home);
    let flags = "--clusters auto:4,2,4 --min-cluster-size 70 --normalization cluster-rank --score cosine \
                 --feature-normalization none --seed 7 --initial-effective-percentage 0.1 --warmup-iterations 50 --pacing cosine \
                 --min-temperature 0.01 --max-temperature 9 --max-effective-ratio 0.3 --draws 60";
    let command = [
        "submit",
        &source,
        "--name",
        "c",
        "--wait",
        "--server",
        server.url(),
    ];
    let submitted = curriculum(command.into_iter().chain(flags.split_whitespace())).await;
    assert_eq!(submitted.code, Some(0), "{submitted:?}");

    let inspect = ["inspect", "c", "--server", server.url()];
    let json = curriculum(inspect.into_iter().chain(["--json"]))
        .await
        .json();
    let expected = serde_json::json!({
        "seed": 7,
        "by_label": false,
        "min_cluster_size": 70,
        "normalization": "cluster-rank",
        "score": "cosine",
        "feature_normalization": "none",
        "initial_effective_fraction": 0.1,
        "warmup_iterations": 50,
        "pacing": "cosine",
        "min_temperature": 0.01,
        "max_temperature": 9.0,
        "max_effective_fraction": 0.3,
        "draws": 60,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(json[field], *value, "{field}");
    }
    let tried = [
        &json["candidates"][0]["clusters"],
        &json["candidates"][1]["clusters"],
    ];
    assert_eq!(tried, [2, 4]);
    // No cluster of 80 samples in two or four has 70 of them.
    let warning = json["warnings"][0].as_str().unwrap();
    let text = curriculum(inspect).await.stdout;
    for shown in [
        "numbers of clusters tried",
        "chosen",
        warning,
        "cosine, cluster-rank",
        "features as they are",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }

    let by_label = ["--clusters", "2", "--by-label"];
    let by_label = curriculum(command.into_iter().chain(by_label)).await;
    assert_eq!(by_label.code, Some(0), "{by_label:?}");
    let json = curriculum(inspect.into_iter().chain(["--json"]))
        .await
        .json();
    assert_eq!(
        (&json["by_label"], &json["min_cluster_size"]),
        (&true.into(), &1.into())
    );
    assert_eq!(json["feature_normalization"], "standard");
    let label = json["clusters"][0]["label"].as_str().unwrap();
    assert!(!label.is_empty() && curriculum(inspect).await.stdout.contains(label));
}

#[tokio::test]
async fn bad_input_is_2() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let source = small(&home);
    let url = server.url();
    let cases: [(&[&str], &str); 8] = [
        (
            &["submit", "absent", "--name", "c", "--server", url],
            "absent",
        ),
        (
            &["submit", &source, "--name", "../c", "--server", url],
            "curriculum",
        ),
        (
            &[
                "submit",
                &source,
                "--name",
                "c",
                "--clusters",
                "81",
                "--server",
                url,
            ],
            "81 clusters",
        ),
        (
            &[
                "submit",
                &source,
                "--name",
                "c",
                "--clusters",
                "many",
                "--server",
                url,
            ],
            "--clusters",
        ),
        (
            &["weights", "absent", "--iteration", "0", "--server", url],
            "`absent`",
        ),
        (&["jobs", "not-an-id", "--server", url], "not-an-id"),
        (&["jobs", "--server", "not a url"], "--server"),
        (&["no-such-command"], "no-such-command"),
    ];
    for (arguments, named) in cases {
        let refused = curriculum(arguments).await;
        assert_eq!(refused.code, Some(2), "{arguments:?}: {refused:?}");
        assert!(refused.stderr.contains(named), "{named}: {refused:?}");
        assert!(refused.stdout.is_empty(), "{refused:?}");
    }
}

#[tokio::test]
async fn a_failed_job_is_3() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let mut images = data::images(64);
    images[5].bytes = b"not an image".to_vec();
    let source = home.path("broken.tar");
    data::write_tar(&source, &images);
    let source = source.to_str().unwrap();
    let arguments = [
        "submit",
        source,
        "--name",
        "c",
        "--clusters",
        "2",
        "--wait",
        "--server",
        server.url(),
    ];
    let failed = curriculum(arguments).await;
    assert_eq!(failed.code, Some(3), "{failed:?}");
    assert!(
        failed.stderr.contains("1 of 64 samples failed"),
        "{failed:?}"
    );

    let tolerant = arguments
        .into_iter()
        .chain(["--max-failed-fraction", "0.1", "--json"]);
    assert_eq!(curriculum(tolerant).await.json()["failed"], 1);
}

#[tokio::test]
async fn a_cancelled_job_is_4() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let slow = data::write_slow_jsonl(&home.path("slow"), 6_000, 400);
    let arguments = [
        "submit",
        slow.to_str().unwrap(),
        "--name",
        "c",
        "--wait",
        "--server",
        server.url(),
    ];
    let cancel = async {
        let id = first_job(&server).await;
        curriculum(["jobs", &id, "--cancel", "--json", "--server", server.url()]).await
    };
    let (waited, cancelled) = tokio::join!(curriculum(arguments), cancel);
    assert_eq!(waited.code, Some(4), "{waited:?}");
    let id = cancelled.json()["id"].as_str().unwrap().to_owned();
    assert!(waited.stderr.contains(&id), "{waited:?}");
}

/// Asks until somebody has submitted a job; its id.
async fn first_job(server: &TestServer) -> String {
    let ask = async {
        loop {
            let list = server
                .ingest()
                .list_jobs(v1::ListJobsRequest::default())
                .await
                .unwrap();
            if let Some(job) = list.into_inner().jobs.pop() {
                return job.id;
            }
        }
    };
    timeout(PATIENCE, ask).await.expect("no job")
}

#[tokio::test]
async fn a_server_that_is_not_there_is_5() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    // A port that was free a moment ago, and that nobody listens on now.
    let url = server.url().to_owned();
    server.kill().await;
    for arguments in [
        &["submit", "x.tar", "--name", "c"] as &[&str],
        &["jobs"],
        &["weights", "c", "--iteration", "0"],
        &["inspect", "c"],
    ] {
        let Outcome { code, stderr, .. } =
            curriculum(arguments.iter().chain(&["--server", &url])).await;
        assert_eq!(code, Some(5), "{arguments:?}: {stderr}");
        assert!(stderr.contains(&url), "{stderr}");
    }
}

fn small(home: &Home) -> String {
    let source: PathBuf = home.path("images.tar");
    data::write_tar(&source, &data::images(80));
    source.to_str().unwrap().to_owned()
}
