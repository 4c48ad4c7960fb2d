//! The whole road of a request on loopback: client, middleware, store, method, stream.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up has nothing to report"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use curriculum_proto::v1;
use home::{Home, NAME, WARMUP};
use tokio::runtime::Runtime;

#[path = "trainers/home.rs"]
mod home;

/// As many as ImageNet-1K has.
const SAMPLES: u64 = 1_281_167;

fn grpc(c: &mut Criterion) {
    let home = Home::publish(SAMPLES);
    let runtime = Runtime::new().unwrap();
    let client = runtime.block_on(home.serve());
    let mut iteration = 0;
    let mut next = move || {
        iteration = (iteration + 1) % WARMUP;
        iteration
    };

    c.bench_function("GetSchedule/1281167", |b| {
        b.iter(|| {
            let iterations = vec![next()];
            let request = v1::GetScheduleRequest {
                curriculum: NAME.into(),
                iterations,
                ..Default::default()
            };
            runtime
                .block_on(client.clone().get_schedule(request))
                .unwrap()
        });
    });

    let mut group = c.benchmark_group("GetWeights");
    group.throughput(Throughput::Bytes(SAMPLES * 4));
    group.bench_function("1281167", |b| {
        b.iter(|| {
            let request = v1::GetWeightsRequest {
                curriculum: NAME.into(),
                iteration: next(),
                ..Default::default()
            };
            runtime.block_on(async {
                let mut stream = client
                    .clone()
                    .get_weights(request)
                    .await
                    .unwrap()
                    .into_inner();
                while stream.message().await.unwrap().is_some() {}
            });
        });
    });
}

criterion_group!(benches, grpc);
criterion_main!(benches);
