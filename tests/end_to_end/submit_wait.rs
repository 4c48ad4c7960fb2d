//! Waiting for a job: over restarts of the server, with a time limit, and what it leaves for others.

use curriculum_proto::v1::{Job, JobState, Stage};
use curriculum_tests::{
    Home, Outcome, PATIENCE, Relay, TestServer,
    calls::submission,
    command::{curriculum, curriculum_in, submit},
    data,
};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// Samples and pixels a side of a job that takes seconds.
const SAMPLES: usize = 1_280;
const SIDE: u32 = 250;

#[derive(Clone, Copy, Debug)]
enum Stop {
    Kill,
    Terminate,
}

#[tokio::test]
async fn waiting_survives_a_restart_of_the_server() {
    for stop in [Stop::Kill, Stop::Terminate] {
        let home = Home::new();
        let source = data::write_slow_jsonl(&home.path("images"), SAMPLES, SIDE);
        let server = TestServer::start(&home).await;
        let relay = Relay::to(&server).await;
        let job = server.submit_new(submission("c", &source, 5)).await;
        let watch = curriculum([
            "jobs",
            &job.id,
            "--watch",
            "--json",
            "--server",
            relay.url(),
        ]);
        let submit = submit(relay.url(), &source, 5, &["--wait"]);
        let (submitted, watched, _server) =
            tokio::join!(submit, watch, restart(&home, server, &relay, &job.id, stop));
        assert!(submitted.stderr.contains("trying again"), "{submitted:?}");
        let (submitted, watched) = (submitted.json(), watched.json());
        assert_eq!(submitted["job"], job.id.as_str(), "{stop:?}");
        for answer in [&submitted, &watched] {
            assert_eq!(answer["state"], "succeeded", "{stop:?}: {answer}");
            assert_eq!(answer["version"].as_str().unwrap().len(), 64, "{answer}");
        }
    }
}

/// Ends the server in the middle of the job, which both clients watch, and starts another.
async fn restart(
    home: &Home,
    server: TestServer,
    relay: &Relay,
    id: &str,
    stop: Stop,
) -> TestServer {
    let watching =
        "curriculum_grpc_requests_in_flight{method=\"curriculum.v1.IngestService/WatchJob\"}";
    let begun = Instant::now();
    while server.metric(watching) < 2.0 {
        assert!(begun.elapsed() < PATIENCE, "nobody watches");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.watch_until(id, is_extracting).await;
    match stop {
        Stop::Kill => server.kill().await,
        Stop::Terminate => {
            server.terminate();
            assert!(server.exited().await.success());
        }
    }
    let server = TestServer::start(home).await;
    relay.turn_to(&server);
    server.published(id).await;
    server
}

#[tokio::test]
async fn a_server_that_stays_away_is_5() {
    let home = Home::new();
    let slow = data::write_slow_jsonl(&home.path("slow"), SAMPLES, SIDE);
    let server = TestServer::start(&home).await;
    let url = server.url().to_owned();
    let job = server.submit_new(submission("c", &slow, 2)).await;
    let arguments = [
        "jobs",
        &job.id,
        "--watch",
        "--reconnect",
        "1s",
        "--server",
        &url,
    ];
    let kill = async {
        server.watch_until(&job.id, is_extracting).await;
        server.kill().await;
    };
    let (outcome, ()) = tokio::join!(curriculum(arguments), kill);
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
    assert!(outcome.stderr.contains(&url), "{outcome:?}");
}

#[tokio::test]
async fn a_passed_time_limit_is_6_and_the_job_goes_on() {
    let home = Home::new();
    let slow = data::write_slow_jsonl(&home.path("slow"), 6_000, 400);
    let server = TestServer::start(&home).await;
    let source = slow.to_str().unwrap();
    let url = server.url();
    let submit = |flags: &[&str]| {
        let command = ["submit", source, "--name", "c", "--server", url];
        let arguments: Vec<_> = command
            .iter()
            .chain(flags)
            .map(ToString::to_string)
            .collect();
        curriculum(arguments)
    };
    submit(&["--timeout", "1s"]).await.refused("--wait");
    submit(&["--wait", "--timeout", "soon"])
        .await
        .refused("--timeout");
    let outcome = submit(&["--wait", "--timeout", "1s"]).await;
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    let job = curriculum(["jobs", "--json", "--server", url]).await.json()[0].clone();
    let id = job["id"].as_str().unwrap();
    assert!(outcome.stderr.contains(id), "{outcome:?}");
    let state = server.job(id).await.job.unwrap().state();
    assert!(
        matches!(state, JobState::Queued | JobState::Running),
        "{state:?}"
    );
}

#[tokio::test]
async fn results_are_given_as_github_takes_them() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let good = home.path("good.tar");
    data::write_tar(&good, &data::images(64));
    let mut images = data::images(64);
    images[5].bytes = b"not an image".to_vec();
    let bad = home.path("bad.tar");
    data::write_tar(&bad, &images);

    let outcome = github(&home, &server, &good, "good").await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let facts = outputs(&home.path("outputs"));
    let fact = |facts: &[(String, String)], name: &str| {
        let found = facts.iter().find(|(known, _)| known == name);
        found
            .unwrap_or_else(|| panic!("no {name}: {facts:?}"))
            .1
            .clone()
    };
    assert_eq!(fact(&facts, "state"), "succeeded");
    assert_eq!(fact(&facts, "samples"), "64");
    let version = fact(&facts, "version");
    let summary = fs::read_to_string(home.path("summary")).unwrap();
    assert!(
        summary.contains("### Curriculum good: succeeded") && summary.contains(&version),
        "{summary}"
    );

    let outcome = github(&home, &server, &bad, "bad").await;
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let facts = &outputs(&home.path("outputs"))[facts.len()..];
    assert_eq!(fact(facts, "state"), "failed");
    assert!(fact(facts, "reason").contains("1 of 64"), "{facts:?}");
    let both = fs::read_to_string(home.path("summary")).unwrap();
    assert!(
        both.starts_with(&summary) && both.contains("failed"),
        "{both}"
    );

    assert_eq!(
        (fact(facts, "version"), fact(facts, "failed")),
        (String::new(), "1".to_owned())
    );

    let before = outputs(&home.path("outputs")).len();
    let outcome = github(&home, &server, &home.path("absent.tar"), "absent").await;
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    let facts = &outputs(&home.path("outputs"))[before..];
    assert_eq!(fact(facts, "state"), "not submitted");
    assert!(fact(facts, "reason").contains("absent.tar"), "{facts:?}");

    let outcome = curriculum_in(
        &home.path(""),
        &[("GITHUB_OUTPUT", ""), ("GITHUB_STEP_SUMMARY", "")],
        ["submit", "x.tar", "--name", "c", "--output", "github"],
    )
    .await;
    outcome.refused("GITHUB_STEP_SUMMARY");
}

async fn github(home: &Home, server: &TestServer, source: &Path, name: &str) -> Outcome {
    let (summary, output) = (home.path("summary"), home.path("outputs"));
    let variables = [
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
        ("GITHUB_OUTPUT", output.to_str().unwrap()),
    ];
    let source = source.to_str().unwrap();
    let arguments = [
        "submit",
        source,
        "--name",
        name,
        "--clusters",
        "2",
        "--wait",
        "--output",
        "github",
        "--server",
        server.url(),
    ];
    curriculum_in(&home.path(""), &variables, arguments).await
}

/// As the runner reads them.
fn outputs(path: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let mut facts = Vec::new();
    while let Some(line) = lines.next() {
        let (name, delimiter) = line.split_once("<<").unwrap();
        let value: Vec<_> = lines
            .by_ref()
            .take_while(|line| *line != delimiter)
            .collect();
        facts.push((name.to_owned(), value.join("\n")));
    }
    facts
}

/// At least one chunk is done, and at least two are not.
fn is_extracting(job: &Job) -> bool {
    let done = job.progress.as_ref().map_or(0, |progress| progress.done);
    job.stage() == Stage::Enumerated && (256..=SAMPLES as u64 - 512).contains(&done)
}
