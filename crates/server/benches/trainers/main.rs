//! What a trainer waits for on loopback, beside a bare tonic service that sends as many constant bytes.
//!
//! `cargo bench --bench trainers`; without the version of 10⁸ samples with `-- --quick`; and of the bare
//! service alone, for clients in other languages to be compared with, with `-- stream`. Calls to ours
//! and to the bare service alternate; times are the client's, in milliseconds, in which both ends share
//! the processors. One line of JSON a figure on standard output.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement"
)]

mod bare;
mod clients;
mod home;

use curriculum_proto::v1::{self, curriculum_service_client::CurriculumServiceClient};
use home::{Home, WARMUP};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tonic::transport::Channel;

/// ImageNet-1K.
const IMAGENET: u64 = 1_281_167;
const BATCH: u32 = 4_096;

type Client = CurriculumServiceClient<Channel>;

fn main() {
    let asked = |name| std::env::args().any(|argument| argument == name);
    let quick = asked("--quick");
    let runtime = Runtime::new().unwrap();
    if asked("stream") {
        return runtime.block_on(stream());
    }
    runtime.block_on(async {
        weights().await;
        for samples in [1_000_000, 100_000_000] {
            if samples == 1_000_000 || !quick {
                indices(samples).await;
            }
        }
        clients::measure().await;
    });
}

/// The bare service's GetWeights.
async fn stream() {
    let bare = bare::serve().await;
    let mut times = Vec::new();
    for _ in 0..220 {
        let start = Instant::now();
        let bytes = read(bare.clone(), v1::GetWeightsRequest::default()).await;
        times.push(start.elapsed());
        assert_eq!(bytes as u64, IMAGENET * 4);
    }
    times.drain(..times.len() / 10);
    let [p50, p99] = percentiles(times);
    println!(
        "{{\"what\":\"bare GetWeights {IMAGENET} f32\",\"p50_ms\":{p50:.3},\"p99_ms\":{p99:.3}}}"
    );
}

/// GetWeights at fresh iterations.
async fn weights() {
    let home = Home::publish(IMAGENET);
    let (ours, bare) = (home.serve().await, bare::serve().await);
    for (name, encoding) in [
        ("f32", v1::Encoding::F32),
        ("f16", v1::Encoding::F16),
        ("u16", v1::Encoding::U16),
    ] {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..220 {
            for (client, times) in [&ours, &bare].into_iter().zip(&mut times) {
                let request = v1::GetWeightsRequest {
                    curriculum: home::NAME.into(),
                    iteration: round * 7 % WARMUP,
                    encoding: encoding.into(),
                    ..Default::default()
                };
                let start = Instant::now();
                let bytes = read(client.clone(), request).await;
                times.push(start.elapsed());
                let width = if encoding == v1::Encoding::F32 { 4 } else { 2 };
                assert_eq!(bytes as u64, IMAGENET * width);
            }
        }
        report(&format!("GetWeights {IMAGENET} {name}"), times);
    }
}

async fn read(mut client: Client, request: v1::GetWeightsRequest) -> usize {
    let mut messages = client.get_weights(request).await.unwrap().into_inner();
    let mut bytes = 0;
    while let Some(message) = messages.message().await.unwrap() {
        if let Some(v1::get_weights_response::Part::Chunk(chunk)) = message.part {
            bytes += chunk.values.len();
        }
    }
    bytes
}

/// SampleIndices at fresh iterations.
async fn indices(samples: u64) {
    let home = Home::publish(samples);
    let (ours, bare) = (home.serve().await, bare::serve().await);
    let request = |iteration, window| v1::SampleIndicesRequest {
        curriculum: home::NAME.into(),
        iteration,
        batch: BATCH,
        window,
        ..Default::default()
    };
    let start = Instant::now();
    let mut client = ours.clone();
    client.sample_indices(request(0, 0)).await.unwrap();
    let first = start.elapsed().as_secs_f64();
    for window in [0, 50] {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..1_000 {
            for (client, times) in [&ours, &bare].into_iter().zip(&mut times) {
                let request = request(1 + round * 7 % WARMUP, window);
                let start = Instant::now();
                let answer = client.clone().sample_indices(request).await.unwrap();
                times.push(start.elapsed());
                assert_eq!(answer.into_inner().indices.len(), 4 * BATCH as usize);
            }
        }
        report(
            &format!("SampleIndices {BATCH} of {samples}, window {window}"),
            times,
        );
    }
    println!("{{\"what\":\"first SampleIndices of {samples}\",\"seconds\":{first:.2}}}");
}

/// Of ours and of the bare service; the first tenth warms up.
fn report(what: &str, times: [Vec<Duration>; 2]) {
    let [ours, bare] = times.map(|mut times| {
        times.drain(..times.len() / 10);
        percentiles(times)
    });
    println!(
        "{{\"what\":\"{what}\",\"p50_ms\":{:.3},\"p99_ms\":{:.3},\"bare_p50_ms\":{:.3},\
         \"bare_p99_ms\":{:.3},\"p50_ratio\":{:.2}}}",
        ours[0],
        ours[1],
        bare[0],
        bare[1],
        ours[0] / bare[0]
    );
}

/// The 50th and 99th, in milliseconds.
fn percentiles(mut times: Vec<Duration>) -> [f64; 2] {
    times.sort_unstable();
    [50, 99].map(|percent| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3)
}
