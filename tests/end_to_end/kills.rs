//! SIGKILL at seeded moments of every stage: always the same bytes, and nothing extracted twice.
//!
//! Five kills in a usual run, `CURRICULUM_KILLS` of them in a long one (`make test-long`: 50).

use crate::published::Published;
use curriculum_proto::v1::{
    ClusterRange, Clusters, Job, Stage, SubmitJobRequest, clusters::Choice,
};
use curriculum_tests::{
    FeatureFile, Home, PATIENCE, TestServer,
    calls::{parameters, submission},
    data,
};
use std::{env, path::Path, time::Duration};
use tokio::time::sleep;

/// Kills in a usual run: one in each stage.
const KILLS: u64 = 5;

/// Samples of the job: five packs of 256.
const SAMPLES: usize = 1_280;

/// Pixels a side: extraction takes a second or two.
const SIDE: u32 = 150;

/// The stages in which the process is killed, by the stage that was finished before.
const STAGES: [(Stage, Stage); 5] = [
    (Stage::Submitted, Stage::Enumerated),
    (Stage::Enumerated, Stage::Extracted),
    (Stage::Extracted, Stage::Clustered),
    (Stage::Clustered, Stage::Scored),
    (Stage::Scored, Stage::Published),
];

#[tokio::test]
async fn a_job_killed_at_any_moment_ends_with_the_same_bytes() {
    let images = Home::new();
    let source = data::write_slow_jsonl(&images.path("images"), SAMPLES, SIDE);
    let request = request(&source);
    let (expected, undisturbed) = undisturbed(&request).await;
    for seed in 0..kills() {
        let (finished, at) = STAGES[(seed % STAGES.len() as u64) as usize];
        let moment = seconds(&undisturbed, at) * fraction(seed);
        killed_once(&request, finished, moment, &expected)
            .await
            .unwrap_or_else(|why| panic!("seed {seed}, {moment:.3} s into {at:?}: {why}"));
    }
}

/// One kill, `moment` seconds after `finished` was reported; what is wrong afterwards.
async fn killed_once(
    request: &SubmitJobRequest,
    finished: Stage,
    moment: f64,
    expected: &Published,
) -> Result<(), String> {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let job = server.submit_new(request.clone()).await;
    server
        .watch_until(&job.id, |job| job.stage() >= finished)
        .await;
    // The moment is what the test is about.
    sleep(Duration::from_secs_f64(moment).min(PATIENCE)).await;
    server.kill().await;
    let kept = home.feature_chunks();

    let server = TestServer::start(&home).await;
    let job = server.published(&job.id).await;
    same(&Published::read(&server, job).await, expected)?;
    untouched(&kept, &home.feature_chunks())
}

fn same(found: &Published, expected: &Published) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{found:?} instead of {expected:?}")),
    }
}

/// A pack that is written again is another file, even with the same content.
fn untouched(kept: &[FeatureFile], found: &[FeatureFile]) -> Result<(), String> {
    match kept.iter().all(|pack| found.contains(pack)) {
        true => Ok(()),
        false => Err(format!("{kept:?} were finished, but there are {found:?}")),
    }
}

async fn undisturbed(request: &SubmitJobRequest) -> (Published, Job) {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let job = server.publish(request.clone()).await;
    (Published::read(&server, job.clone()).await, job)
}

/// Many candidates, so that clustering takes a while too.
fn request(source: &Path) -> SubmitJobRequest {
    let mut request = submission("c", source, 0);
    let choice = Some(Choice::Auto(ClusterRange { min: 2, max: 30 }));
    parameters(&mut request).clusters = Some(Clusters { choice });
    request
}

fn seconds(job: &Job, stage: Stage) -> f64 {
    let spent = job.seconds.iter().find(|spent| spent.stage() == stage);
    spent.map_or(0.0, |spent| spent.seconds)
}

fn kills() -> u64 {
    let given = env::var("CURRICULUM_KILLS").ok();
    given.map_or(KILLS, |kills| {
        kills.parse().expect("CURRICULUM_KILLS is a number")
    })
}

/// In 0..1, evenly spread by the golden ratio: the same for a seed on every machine.
fn fraction(seed: u64) -> f64 {
    (seed as f64 * 0.618_033_988_749_894_9 + 0.5).fract()
}
