//! Images that cannot be used: errors of their samples, up to a limit.

use curriculum_proto::v1::{JobState, Order, Stage};
use curriculum_tests::{
    Home, TestServer,
    calls::{parameters, submission, weights_of},
    data,
};
use std::fs;
use tonic::Code;

/// A manifest of 80 samples, of which five cannot be used; their indices.
fn broken(home: &Home) -> (std::path::PathBuf, [usize; 5]) {
    let mut images = data::images(80);
    images[3].bytes = b"not an image".to_vec();
    images[10].bytes.clear();
    images[40].bytes.truncate(100);
    let source = data::write_jsonl(&home.path("images"), &images);
    fs::remove_file(source.with_file_name(&images[41].key)).unwrap();
    let folder = source.with_file_name(&images[79].key);
    fs::remove_file(&folder).unwrap();
    fs::create_dir(folder).unwrap();
    (source, [3, 10, 40, 41, 79])
}

#[tokio::test]
async fn broken_images_are_errors_of_their_samples() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let (source, broken) = broken(&home);
    let mut request = submission("c", &source, 3);
    parameters(&mut request).max_failed_fraction = Some(0.1);
    let job = server.publish(request).await;
    assert_eq!((job.sample_count, job.failed_count), (80, 5));

    let errors = server.job(&job.id).await.errors;
    let indices: Vec<_> = errors.iter().map(|error| error.index as usize).collect();
    assert_eq!(indices, broken);
    let images = data::images(80);
    for error in &errors {
        assert_eq!(error.id, images[error.index as usize].key);
    }
    let expected = [
        "not a JPEG",
        "not a JPEG",
        "cannot be decoded",
        "no such file",
        "not a regular file",
    ];
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.reason.contains(expected), "{expected}: {error:?}");
    }

    let summary = server
        .curriculum("c")
        .await
        .version
        .unwrap()
        .summary
        .unwrap();
    assert_eq!(summary.failed_count, 5);
    assert_eq!(summary.histogram.iter().sum::<u64>(), 80);
    assert_eq!(
        summary
            .clusters
            .iter()
            .map(|cluster| cluster.size)
            .sum::<u64>(),
        75
    );

    // The highest difficulty: the least weight when easy samples come first, the most otherwise.
    let easy = server
        .weights(weights_of("c", 0, Order::EasyFirst))
        .await
        .unwrap()
        .values;
    let hard = server
        .weights(weights_of("c", 0, Order::HardFirst))
        .await
        .unwrap()
        .values;
    for index in broken {
        assert_eq!(easy[index], easy.iter().copied().fold(f32::MAX, f32::min));
        assert_eq!(hard[index], hard.iter().copied().fold(f32::MIN, f32::max));
    }
}

#[tokio::test]
async fn too_many_broken_images_fail_the_job() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let (source, _) = broken(&home);
    let strict = submission("c", &source, 3);
    let job = server.submit_new(strict.clone()).await;
    let failed = server.ended(&job.id).await;
    assert_eq!(failed.state(), JobState::Failed);
    let failure = failed.failure.unwrap();
    // Two have no bytes, which is seen before anything is decoded.
    assert_eq!(failure.stage(), Stage::Enumerated);
    for text in ["2 of 80", "max_failed_fraction", "sample 41"] {
        assert!(failure.reason.contains(text), "{}", failure.reason);
    }
    assert_eq!(server.job(&job.id).await.errors.len(), 2);
    let error = server
        .weights(weights_of("c", 0, Order::EasyFirst))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(
        error.message().contains("failed after stage Submitted"),
        "{error}"
    );

    // The same again tries again, and fails again.
    assert_eq!(server.submit_new(strict.clone()).await.id, job.id);
    assert_eq!(server.ended(&job.id).await.state(), JobState::Failed);

    let mut tolerant = strict;
    parameters(&mut tolerant).max_failed_fraction = Some(0.5);
    let published = server.publish(tolerant).await;
    assert_eq!(published.failed_count, 5);
}
