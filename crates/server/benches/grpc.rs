//! The whole road of a request on loopback: client, middleware, store, method, stream.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up has nothing to report"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use curriculum::{Pacing, Sketch, difficulty::Normalization, effective};
use curriculum_proto::v1::{self, curriculum_service_client::CurriculumServiceClient};
use curriculum_server::{Config, Overrides, Server, config::HttpAddr};
use curriculum_store::{
    Clusters, Column, Digest, Parameters, ScheduleRecord, Score, Store, SummaryRecord,
    VersionRecord,
};
use std::path::Path;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

const SAMPLES: u64 = 1_281_167;
const WARMUP: u64 = 7_500;

/// A published version the size of ImageNet-1K.
fn publish(folder: &Path) {
    let store = Store::open(folder).unwrap();
    let difficulty: Vec<f32> = (0..SAMPLES)
        .map(|i| ((i as f64 * 0.618_033_988_749).fract().powi(2)) as f32)
        .collect();
    let id = Digest::from([1; 32]);
    store
        .put_column(
            id,
            Column::Difficulty,
            difficulty.iter().map(|d| d.to_le_bytes()),
        )
        .unwrap();
    let schedule = ScheduleRecord {
        initial: 0.125,
        warmup: WARMUP,
        pacing: Pacing::Linear,
        min_temperature: None,
        max_temperature: None,
        ceiling: effective::ceiling(SAMPLES, SAMPLES),
        draws: SAMPLES,
    };
    let version = VersionRecord {
        id,
        content: id,
        listing: id,
        source: String::new(),
        model: String::new(),
        model_digest: id,
        parameters: Parameters {
            clusters: Clusters::Fixed(1),
            seed: 0,
            max_failed_fraction: 0.0,
            by_label: false,
            min_cluster_size: 1,
            normalization: Normalization::default(),
            score: Score::default(),
            schedule,
        },
        created_at_ms: 0,
        summary: SummaryRecord {
            sample_count: SAMPLES,
            failed_count: 0,
            dimension: 1,
            inertia: 0.0,
            davies_bouldin: None,
            histogram: vec![],
            clusters: vec![],
            candidates: vec![],
            warnings: vec![],
            drift: None,
        },
    };
    store
        .put_version(&version, &Sketch::new(&difficulty))
        .unwrap();
    store.point("bench", id).unwrap();
    store.flush().unwrap();
}

fn client(runtime: &Runtime, folder: &Path) -> CurriculumServiceClient<Channel> {
    let overrides = Overrides {
        grpc_addr: Some(([127, 0, 0, 1], 0).into()),
        http_addr: Some(HttpAddr::Off),
        data_dir: Some(folder.to_owned()),
        ..Overrides::default()
    };
    let server = Server::open(Config::load(None, &overrides).unwrap()).unwrap();
    runtime.block_on(async {
        let listeners = server.bind().await.unwrap();
        let address = listeners.grpc.local_addr().unwrap();
        tokio::spawn(server.serve(listeners, std::future::pending()));
        CurriculumServiceClient::connect(format!("http://{address}"))
            .await
            .unwrap()
    })
}

fn grpc(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path());
    let runtime = Runtime::new().unwrap();
    let client = client(&runtime, folder.path());
    let mut iteration = 0;
    let mut next = move || {
        iteration = (iteration + 1) % WARMUP;
        iteration
    };

    c.bench_function("GetSchedule/1281167", |b| {
        b.iter(|| {
            let iterations = vec![next()];
            let request = v1::GetScheduleRequest {
                curriculum: "bench".into(),
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
                curriculum: "bench".into(),
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
