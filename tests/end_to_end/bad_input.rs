//! What is refused, and how it is said.

use curriculum_proto::v1::{self, JobState, Order, Stage, clusters::Choice};
use curriculum_tests::{
    Home, TestServer,
    calls::{parameters, submission, weights_of},
    data,
};
use std::fs;
use tonic::{Code, Status};
use tonic_types::StatusExt;

#[tokio::test]
async fn unknown_names_are_not_found() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(64));
    server.publish(submission("c", &source, 3)).await;

    let unknown = weights_of("absent", 0, Order::EasyFirst);
    let mut pinned = weights_of("c", 0, Order::EasyFirst);
    pinned.version = "0".repeat(64);
    for (request, named) in [(unknown, "`absent`"), (pinned, "`0000")] {
        let v1::GetWeightsRequest {
            curriculum,
            version,
            ..
        } = request.clone();
        let describe = v1::GetCurriculumRequest {
            curriculum: curriculum.clone(),
            version: version.clone(),
        };
        let schedule = v1::GetScheduleRequest {
            curriculum,
            version,
            iterations: vec![0],
            ..v1::GetScheduleRequest::default()
        };
        let answers = [
            server.weights(request).await.map(drop),
            server.curricula().get_curriculum(describe).await.map(drop),
            server.curricula().get_schedule(schedule).await.map(drop),
        ];
        for error in answers.map(Result::unwrap_err) {
            assert_eq!(error.code(), Code::NotFound, "{error}");
            assert!(error.message().contains(named), "{error}");
        }
    }
    for error in job_calls(&server, &"0".repeat(64)).await {
        assert_eq!(error.code(), Code::NotFound, "{error}");
    }
}

#[tokio::test]
async fn weights_before_publication_name_the_state_and_the_stage() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let slow = data::write_slow_jsonl(&home.path("slow"), 6_000, 400);
    let running = server.submit_new(submission("running", &slow, 2)).await;
    server
        .watch_until(&running.id, |job| job.stage() == Stage::Enumerated)
        .await;
    let queued = server.submit_new(submission("queued", &slow, 2)).await;
    assert_eq!(queued.state(), JobState::Queued);
    for (name, state) in [
        ("running", "running after stage Enumerated"),
        ("queued", "queued after stage Submitted"),
    ] {
        let error = server
            .weights(weights_of(name, 0, Order::EasyFirst))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
        assert!(error.message().contains(state), "{error}");
        let describe = v1::GetCurriculumRequest {
            curriculum: name.to_owned(),
            ..Default::default()
        };
        let error = server
            .curricula()
            .get_curriculum(describe)
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
    }
}

#[tokio::test]
async fn sources_without_a_manifest_are_refused_at_once() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let write =
        |name: &str, rows: &[String]| data::write_rows(&home.path(name), rows.iter().cloned());
    let good = data::row("a", "a.png", "x");
    let blank = String::new();
    fs::create_dir(home.path("empty")).unwrap();
    fs::write(home.path("notes.md"), "text").unwrap();
    fs::write(
        home.path("cut.tar"),
        &fs::read(data::archive()).unwrap()[..1_000],
    )
    .unwrap();
    let cases = [
        (
            write("none", &[]),
            vec!["manifest.jsonl", "lists no sample"],
        ),
        (
            write(
                "twice",
                &[good.clone(), blank, data::row("a", "b.png", "x")],
            ),
            vec!["manifest.jsonl line 1, and", "line 3", "`a`"],
        ),
        (
            write("kind", &[good.clone(), data::row("b", "b.gif", "x")]),
            vec!["manifest.jsonl", "line 2", "`b.gif`"],
        ),
        (
            write("json", &[good, "{".to_owned()]),
            vec!["manifest.jsonl", "line 2"],
        ),
        (home.path("absent"), vec!["absent", "no such file"]),
        (home.path("empty"), vec!["empty", "no class folder"]),
        (home.path("notes.md"), vec!["notes.md", "not a source"]),
        (home.path("cut.tar"), vec!["cut.tar", "truncated"]),
    ];
    for (source, expected) in cases {
        let error = server
            .submit(submission("c", &source, 1))
            .await
            .unwrap_err();
        assert_eq!(violated(&error), "source", "{source:?}");
        for text in expected {
            assert!(error.message().contains(text), "{text}: {error}");
        }
    }
    assert_eq!(jobs(&server).await, []);
}

#[tokio::test]
async fn submissions_out_of_range_name_the_field() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(64));
    type Change = fn(&mut v1::SubmitJobRequest);
    let cases: [(Change, &str); 13] = [
        (|r| r.curriculum.clear(), "curriculum"),
        (|r| "../up".clone_into(&mut r.curriculum), "curriculum"),
        (|r| ".hidden".clone_into(&mut r.curriculum), "curriculum"),
        (|r| r.curriculum = "x".repeat(129), "curriculum"),
        (|r| r.source.clear(), "source"),
        (|r| "resnet".clone_into(&mut r.model), "model"),
        (|r| clusters(r, Choice::Fixed(0)), "parameters.clusters"),
        (|r| clusters(r, Choice::Fixed(65)), "parameters.clusters"),
        (
            |r| clusters(r, Choice::Auto(v1::ClusterRange { min: 5, max: 4 })),
            "parameters.clusters",
        ),
        (
            |r| parameters(r).max_failed_fraction = Some(1.5),
            "parameters.max_failed_fraction",
        ),
        (
            |r| parameters(r).max_failed_fraction = Some(f64::NAN),
            "parameters.max_failed_fraction",
        ),
        (
            |r| schedule(r).initial_effective_fraction = Some(0.64),
            "parameters.schedule.initial_effective_fraction",
        ),
        (|r| schedule(r).pacing = 99, "parameters.schedule.pacing"),
    ];
    for (at, (change, field)) in cases.into_iter().enumerate() {
        let mut request = submission("c", &source, 3);
        change(&mut request);
        let error = server.submit(request).await.unwrap_err();
        assert_eq!(violated(&error), field, "case {at}: {error}");
    }
    assert_eq!(jobs(&server).await, []);
}

#[tokio::test]
async fn reads_out_of_range_name_the_field() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(64));
    server.publish(submission("c", &source, 3)).await;
    type Change = fn(&mut v1::GetWeightsRequest);
    let cases: [(Change, &str); 6] = [
        (|r| r.iteration = (1 << 53) + 1, "iteration"),
        (|r| r.order = 99, "order"),
        (|r| r.encoding = 99, "encoding"),
        (
            |r| r.range = Some(v1::IndexRange { start: 0, end: 65 }),
            "range",
        ),
        (
            |r| r.range = Some(v1::IndexRange { start: 9, end: 8 }),
            "range",
        ),
        (
            |r| {
                r.range = Some(v1::IndexRange {
                    start: u64::MAX,
                    end: 0,
                })
            },
            "range",
        ),
    ];
    for (at, (change, field)) in cases.into_iter().enumerate() {
        let mut request = weights_of("c", 0, Order::EasyFirst);
        change(&mut request);
        let error = server.weights(request).await.unwrap_err();
        assert_eq!(violated(&error), field, "case {at}: {error}");
    }
    // A version that is no id is an alias, and there is none of that name.
    for version in ["abc".to_owned(), "g".repeat(64)] {
        let mut request = weights_of("c", 0, Order::EasyFirst);
        request.version.clone_from(&version);
        let error = server.weights(request).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound, "{error}");
        assert!(error.message().contains(&version), "{error}");
    }
    for iterations in [vec![], vec![0; 10_001], vec![0, (1 << 53) + 1]] {
        let request = v1::GetScheduleRequest {
            curriculum: "c".to_owned(),
            iterations,
            ..v1::GetScheduleRequest::default()
        };
        let error = server.curricula().get_schedule(request).await.unwrap_err();
        assert_eq!(violated(&error), "iterations");
    }
    for error in job_calls(&server, "not-an-id").await {
        assert_eq!(violated(&error), "id");
    }
    let request = v1::GetJobRequest {
        id: "0".repeat(64),
        max_errors: Some(1_001),
        errors_after: None,
    };
    assert_eq!(
        violated(&server.ingest().get_job(request).await.unwrap_err()),
        "max_errors"
    );
}

/// The field that an INVALID_ARGUMENT names in its details.
fn violated(error: &Status) -> String {
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    let details = error.get_details_bad_request().expect("no details");
    let [violation] = details.field_violations.try_into().unwrap();
    violation.field
}

/// The errors of every call that takes the id of a job.
async fn job_calls(server: &TestServer, id: &str) -> [Status; 3] {
    let id = || id.to_owned();
    let get = v1::GetJobRequest {
        id: id(),
        ..v1::GetJobRequest::default()
    };
    let mut client = server.ingest();
    [
        client.get_job(get).await.unwrap_err(),
        client
            .cancel_job(v1::CancelJobRequest { id: id() })
            .await
            .unwrap_err(),
        client
            .watch_job(v1::WatchJobRequest { id: id() })
            .await
            .map(drop)
            .unwrap_err(),
    ]
}

async fn jobs(server: &TestServer) -> Vec<v1::Job> {
    server
        .ingest()
        .list_jobs(v1::ListJobsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .jobs
}

fn schedule(request: &mut v1::SubmitJobRequest) -> &mut v1::Schedule {
    parameters(request).schedule.get_or_insert_default()
}

fn clusters(request: &mut v1::SubmitJobRequest, choice: Choice) {
    parameters(request).clusters = Some(v1::Clusters {
        choice: Some(choice),
    });
}
