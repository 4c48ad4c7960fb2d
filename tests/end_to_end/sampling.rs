//! Indices for ranks: one sequence, whoever asks, however often the server falls.

use curriculum_proto::v1;
use curriculum_tests::{Home, TestServer, command::curriculum_in, data, submission};
use ndarray::Array2;
use ndarray_npy::read_npy;
use std::collections::BTreeSet;
use tonic::Code;
use tonic_types::StatusExt;

const SAMPLES: usize = 120;

async fn publish(home: &Home) -> (TestServer, String) {
    let server = TestServer::start(home).await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(SAMPLES));
    let version = server.publish(submission("c", &source, 3)).await.version;
    (server, version)
}

fn iterations(first: u64, iterations: u32, window: u32) -> v1::SampleIndicesRequest {
    v1::SampleIndicesRequest {
        curriculum: "c".to_owned(),
        iteration: first,
        iterations,
        batch: 24,
        seed: 7,
        window,
        expected_samples: Some(SAMPLES as u64),
        ..Default::default()
    }
}

async fn sample(server: &TestServer, request: v1::SampleIndicesRequest) -> Vec<u32> {
    let answer = server.curricula().sample_indices(request).await.unwrap();
    let indices = answer.into_inner().indices;
    let values = indices.as_chunks().0.iter().copied();
    values.map(u32::from_le_bytes).collect()
}

#[tokio::test]
async fn restarts_and_replicas_answer_the_same_bytes() {
    let (home, other) = (Home::new(), Home::new());
    let (server, version) = publish(&home).await;
    let (replica, same) = publish(&other).await;
    assert_eq!(version, same);
    for window in [0, 5] {
        let expected = sample(&server, iterations(3, 9, window)).await;
        assert_eq!(expected.len(), 9 * 24);
        assert_eq!(sample(&replica, iterations(3, 9, window)).await, expected);
        for (world_size, rank) in [(3, 2), (8, 5), (24, 0)] {
            let request = v1::SampleIndicesRequest {
                rank,
                world_size,
                ..iterations(3, 9, window)
            };
            let share = expected.iter().skip(rank as usize);
            let share: Vec<u32> = share.step_by(world_size as usize).copied().collect();
            assert_eq!(sample(&replica, request).await, share);
        }
    }
    let before = [
        sample(&server, iterations(40, 6, 0)).await,
        sample(&server, iterations(40, 6, 5)).await,
    ];
    server.kill().await;
    let server = TestServer::start(&home).await;
    let after = [
        sample(&server, iterations(40, 6, 0)).await,
        sample(&server, iterations(40, 6, 5)).await,
    ];
    assert_eq!(after, before);
    let window: BTreeSet<u32> = after[1][..5 * 24].iter().copied().collect();
    assert!(window.into_iter().eq(0..SAMPLES as u32));
}

#[tokio::test]
async fn bad_requests_name_the_field() {
    let home = Home::new();
    let (server, _) = publish(&home).await;
    let good = iterations(0, 1, 0);
    let bad = [
        (
            "batch",
            v1::SampleIndicesRequest {
                batch: 0,
                ..good.clone()
            },
        ),
        (
            "rank",
            v1::SampleIndicesRequest {
                rank: 2,
                world_size: 2,
                ..good.clone()
            },
        ),
        (
            "batch",
            v1::SampleIndicesRequest {
                world_size: 7,
                ..good.clone()
            },
        ),
        (
            "iteration",
            v1::SampleIndicesRequest {
                iteration: 1 << 53,
                ..good.clone()
            },
        ),
        (
            "window",
            v1::SampleIndicesRequest {
                window: 6,
                ..good.clone()
            },
        ),
    ];
    for (field, request) in bad {
        let status = server
            .curricula()
            .sample_indices(request)
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        let named = &status.get_details_bad_request().unwrap().field_violations[0].field;
        assert_eq!(named, field, "{status}");
    }
    let deleted = v1::SampleIndicesRequest {
        version: "0".repeat(64),
        ..good.clone()
    };
    let status = server
        .curricula()
        .sample_indices(deleted)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let other = v1::SampleIndicesRequest {
        expected_samples: Some(60_000),
        ..good
    };
    let status = server.curricula().sample_indices(other).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("60000") && status.message().contains("120"));
}

#[tokio::test]
async fn the_command_draws_what_the_call_does() {
    let home = Home::new();
    let (server, version) = publish(&home).await;
    let expected = sample(&server, iterations(3, 4, 5)).await;
    let run = async |arguments: &str| {
        let variables = [("CURRICULUM__SERVER", server.url())];
        let arguments = format!("sample c --iteration 3 --seed 7 {arguments}");
        curriculum_in(&home.path(""), &variables, arguments.split(' ')).await
    };
    let answer = run("--iterations 4 --batch 24 --window 5 --out i.npy --json")
        .await
        .json();
    assert_eq!(answer["version"], version.as_str());
    assert!(answer["iterations"][0].get("indices").is_none());
    let written: Array2<u32> = read_npy(home.path("i.npy")).unwrap();
    assert_eq!(written.dim(), (4, 24));
    assert!(written.iter().eq(&expected));

    let flags = "--iterations 2 --batch 24 --window 5 --rank 1 --world-size 4 --json";
    let answer = run(flags).await.json();
    let second: Vec<u32> = expected[24..48]
        .iter()
        .skip(1)
        .step_by(4)
        .copied()
        .collect();
    assert_eq!(
        answer["iterations"][1]["indices"],
        serde_json::json!(second)
    );
    assert_eq!(answer["iterations"][1]["iteration"], 4);

    let text = run("--batch 24 --window 5").await;
    assert!(
        text.stdout.contains(&version) && text.stdout.contains('…'),
        "{text:?}"
    );
    run("--batch 0").await.refused("batch:");
    run("--batch 24 --out i.txt").await.refused(".npy");
}

#[tokio::test]
async fn weights_travel_in_half_the_bytes() {
    let home = Home::new();
    let (server, _) = publish(&home).await;
    let run = async |encoding: &str| {
        let variables = [("CURRICULUM__SERVER", server.url())];
        let arguments = format!("weights c --iteration 9 --encoding {encoding} --out w.npy --json");
        let answer = curriculum_in(&home.path(""), &variables, arguments.split(' ')).await;
        let weights: ndarray::Array1<f32> = read_npy(home.path("w.npy")).unwrap();
        (
            answer.json()["max_relative_error"].as_f64().unwrap(),
            weights,
        )
    };
    let (_, exact) = run("f32").await;
    for encoding in ["f16", "u16"] {
        let (error, weights) = run(encoding).await;
        assert_ne!(weights, exact);
        for (weight, exact) in weights.iter().zip(&exact) {
            assert!(
                (weight / exact - 1.0).abs() <= error as f32 + 2e-7,
                "{encoding}"
            );
        }
    }
}
