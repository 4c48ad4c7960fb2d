//! What the layers around the services cost a call, and what encryption costs.
//!
//! `cargo bench --bench secured`. Pairs of servers are called in turn over loopback, and both ends share the
//! processors; times are the client's. One line of JSON a figure on standard output.
//!
//! 1. A service of constant bytes, behind bare tonic and behind our transport and layers, without and with
//!    keys: the difference is what they cost.
//! 2. Our services, plain and encrypted.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement"
)]

#[path = "../trainers/bare.rs"]
mod bare;
#[path = "../trainers/home.rs"]
mod home;
mod servers;

use curriculum_proto::v1::{self, curriculum_service_client::CurriculumServiceClient};
use home::{Home, WARMUP};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tonic::transport::Channel;

/// ImageNet-1K.
const IMAGENET: u64 = 1_281_167;
/// Of the service of constant bytes, too.
const BATCH: u32 = 256;

type Client = CurriculumServiceClient<Channel>;

fn main() {
    Runtime::new().unwrap().block_on(async {
        layers().await;
        encryption().await;
    });
}

async fn layers() {
    let bare = bare::serve().await;
    for (what, keys) in [
        ("layers", 0),
        ("layers, 1 key", 1),
        ("layers, 1000 keys", 1_000),
    ] {
        let (client, key) = servers::behind_layers(keys).await;
        let times = alternate(
            [&bare, &client],
            20_000,
            async |mut client: Client, round| {
                let mut request = tonic::Request::new(indices(round));
                if let Some(key) = &key {
                    request.metadata_mut().insert("authorization", key.clone());
                }
                client.sample_indices(request).await.unwrap();
            },
        );
        report(
            &format!("a call of {} bytes, {what}", 4 * BATCH),
            "bare tonic",
            times.await,
        );
    }
}

async fn encryption() {
    let homes = [(); 2].map(|()| Home::publish(IMAGENET));
    let (plain, encrypted) = (homes[0].serve().await, servers::encrypted(&homes[1]).await);
    let clients = [&plain, &encrypted];
    let times = alternate(clients, 5_000, async |mut client: Client, round| {
        client.sample_indices(indices(round)).await.unwrap();
    });
    report(&format!("SampleIndices {BATCH}, TLS"), "plain", times.await);
    let times = alternate(clients, 300, async |mut client: Client, round| {
        let request = v1::GetWeightsRequest {
            curriculum: home::NAME.into(),
            iteration: round * 7 % WARMUP,
            ..Default::default()
        };
        let mut messages = client.get_weights(request).await.unwrap().into_inner();
        while messages.message().await.unwrap().is_some() {}
    });
    report(
        &format!("GetWeights {IMAGENET} f32, TLS"),
        "plain",
        times.await,
    );
}

fn indices(round: u64) -> v1::SampleIndicesRequest {
    v1::SampleIndicesRequest {
        curriculum: home::NAME.into(),
        iteration: 1 + round * 7 % WARMUP,
        batch: BATCH,
        ..Default::default()
    }
}

/// Times of calls to the one and to the other, in turn; the first tenth warms up.
async fn alternate(
    clients: [&Client; 2],
    rounds: u64,
    call: impl AsyncFn(Client, u64),
) -> [Vec<Duration>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for (client, times) in clients.into_iter().zip(&mut times) {
            let start = Instant::now();
            call(client.clone(), round).await;
            if round >= rounds / 10 {
                times.push(start.elapsed());
            }
        }
    }
    times
}

fn report(what: &str, than: &str, times: [Vec<Duration>; 2]) {
    let [reference, measured] = times.map(percentiles);
    println!(
        "{{\"what\":\"{what}\",\"p50_us\":{:.1},\"p99_us\":{:.1},\"than\":\"{than}\",\"than_p50_us\":{:.1},\
         \"than_p99_us\":{:.1},\"p50_more_us\":{:.1},\"p50_ratio\":{:.3}}}",
        measured[0],
        measured[1],
        reference[0],
        reference[1],
        measured[0] - reference[0],
        measured[0] / reference[0]
    );
}

/// The 50th and 99th, in microseconds.
fn percentiles(mut times: Vec<Duration>) -> [f64; 2] {
    times.sort_unstable();
    [50, 99].map(|percent| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6)
}
