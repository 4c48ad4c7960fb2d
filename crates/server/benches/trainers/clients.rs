//! A thousand trainers at once, each with a connection of its own, all in this process.

use crate::{home, home::Home, percentiles};
use curriculum_proto::v1::{self, curriculum_service_client::CurriculumServiceClient};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

const CLIENTS: u32 = 1_000;
const CALLS: u64 = 20;

/// Errors, latency and requests a second, each client calling again as soon as it has its answer.
pub(crate) async fn measure() {
    let home = Home::publish(1_000_000);
    let url = home.url().await;
    for batch in [256, 4_096] {
        let mut clients = JoinSet::new();
        let start = Instant::now();
        for rank in 0..CLIENTS {
            clients.spawn(client(url.clone(), rank % 8, batch));
        }
        let (mut times, mut errors) = (Vec::new(), 0);
        for (found, failed) in clients.join_all().await {
            times.extend(found);
            errors += failed;
        }
        let seconds = start.elapsed().as_secs_f64();
        let rate = times.len() as f64 / seconds;
        let [p50, p99] = percentiles(times);
        println!(
            "{{\"what\":\"{CLIENTS} clients, batch {batch} for each\",\"errors\":{errors},\
             \"p50_ms\":{p50:.1},\"p99_ms\":{p99:.1},\"p99_to_p50\":{:.2},\"requests_per_s\":{rate:.0}}}",
            p99 / p50
        );
    }
}

/// Times of the calls that were answered, and how many were not.
async fn client(url: String, rank: u32, batch: u32) -> (Vec<Duration>, u32) {
    let endpoint = Endpoint::from_shared(url).unwrap();
    let Ok(channel) = endpoint.connect().await else {
        return (Vec::new(), CALLS as u32);
    };
    let mut client = CurriculumServiceClient::new(channel);
    let (mut times, mut errors) = (Vec::new(), 0);
    for iteration in 0..CALLS {
        let request = v1::SampleIndicesRequest {
            curriculum: home::NAME.into(),
            iteration,
            batch: 8 * batch,
            rank,
            world_size: 8,
            ..Default::default()
        };
        let start = Instant::now();
        match client.sample_indices(request).await {
            Ok(_) => times.push(start.elapsed()),
            Err(_) => errors += 1,
        }
    }
    (times, errors)
}
