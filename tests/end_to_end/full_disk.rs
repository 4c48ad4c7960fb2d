//! A disk that fills up: the job fails, nothing is published by half, and it goes on once there is room.
//!
//! The disk is a small tmpfs, which only root may mount; elsewhere the tests say that they are skipped.

use crate::published::Published;
use curriculum_proto::v1::{JobState, ListCurriculaRequest, SubmitJobRequest};
use curriculum_tests::{Home, Launch, TestServer, calls::submission, data, disk::Disk};
use std::fs;

/// The disk, in MiB.
const SIZE: u32 = 48;

const SAMPLES: usize = 1_500;

/// Stops at a mark of 8 MiB, or where the disk itself refuses.
const MARKED: &str = "[model]\nthreads = 1\n[storage]\nmin_free_bytes = 8388608\n";
const UNMARKED: &str = "[model]\nthreads = 1\n[storage]\nmin_free_bytes = 0\n";

/// KiB above the mark at the start of the job: a pack or two.
const ABOVE_MARK: u64 = 300;

#[tokio::test]
async fn a_job_that_meets_the_mark_of_free_space_goes_on_once_there_is_room() {
    let Some(disk) = Disk::mount(SIZE) else {
        return;
    };
    let images = Home::new();
    let request = request(&images);
    let expected = undisturbed(request.clone()).await;

    let home = Home::within(disk.path());
    let server = TestServer::launch(&home, with(MARKED)).await;
    let ballast = disk.fill(8 * 1024 + ABOVE_MARK);
    let job = server.submit_new(request.clone()).await;
    let failed = server.ended(&job.id).await;
    assert_eq!(failed.state(), JobState::Failed, "{failed:?}");
    let failure = failed.failure.unwrap();
    assert!(failure.reason.contains("free"), "{failure:?}");
    assert_eq!(published(&server).await, 0);

    fs::remove_file(ballast).unwrap();
    let again = server.submit_new(request).await;
    let job = server.published(&again.id).await;
    assert_eq!(Published::read(&server, job).await, expected);
}

/// Without the mark the database may meet the full disk too. Whatever it does then: after a restart with
/// room, the same submission ends in the same bytes.
#[tokio::test]
async fn a_disk_that_is_full_to_the_last_byte_loses_nothing() {
    let Some(disk) = Disk::mount(SIZE) else {
        return;
    };
    let images = Home::new();
    let request = request(&images);
    let expected = undisturbed(request.clone()).await;

    for kibibytes in [60, 300, 700] {
        let home = Home::within(disk.path());
        let server = TestServer::launch(&home, with(UNMARKED)).await;
        let ballast = disk.fill(kibibytes);
        if let Ok(answer) = server.submit(request.clone()).await {
            server.settled(&answer.job.unwrap().id).await;
        }
        server.kill().await;
        fs::remove_file(ballast).unwrap();

        let server = TestServer::launch(&home, with(UNMARKED)).await;
        let answer = server.submit(request.clone()).await.unwrap();
        let job = server.published(&answer.job.unwrap().id).await;
        let published = Published::read(&server, job).await;
        assert_eq!(published, expected, "{kibibytes} KiB");
        server.kill().await;
    }
}

fn with(settings: &str) -> Launch<'_> {
    Launch {
        settings,
        ..Launch::default()
    }
}

fn request(images: &Home) -> SubmitJobRequest {
    let source = data::write_slow_jsonl(&images.path("images"), SAMPLES, 28);
    submission("c", &source, 5)
}

async fn undisturbed(request: SubmitJobRequest) -> Published {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let job = server.publish(request).await;
    Published::read(&server, job).await
}

/// Curricula that can be read.
async fn published(server: &TestServer) -> usize {
    let request = ListCurriculaRequest {};
    let answer = server.curricula().list_curricula(request).await.unwrap();
    answer.into_inner().curricula.len()
}
