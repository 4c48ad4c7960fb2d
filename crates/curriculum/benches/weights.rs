//! What a trainer's request costs, without the wire.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use curriculum::{
    Order, Sampler, Schedule, Sketch, Stream, Weights,
    features::{Moments, Normalizer},
};
use std::hint::black_box;

/// Skewed towards easy, like distances within clusters, in no order.
fn difficulty(samples: usize) -> Vec<f32> {
    (0..samples)
        .map(|i| ((i as f64 * 0.618_033_988_749).fract().powi(2)) as f32)
        .collect()
}

fn normalisation(c: &mut Criterion) {
    const DIMENSION: usize = 384;
    const ROWS: usize = 8_192;
    let values = difficulty(ROWS * DIMENSION);
    let rows = || values.chunks_exact(DIMENSION);
    let mut group = c.benchmark_group("features");
    group.throughput(Throughput::Bytes(size_of_val(values.as_slice()) as u64));
    group.bench_function("moments/8192x384", |b| {
        b.iter(|| {
            let mut moments = Moments::new(DIMENSION);
            moments.push_block(black_box(rows()));
            moments
        });
    });
    let mut moments = Moments::new(DIMENSION);
    moments.push_block(rows());
    let normalizer: Normalizer = moments.finish();
    let mut out = vec![0.0; values.len()];
    group.bench_function("apply/8192x384", |b| {
        b.iter(|| {
            for (row, out) in rows().zip(out.chunks_exact_mut(DIMENSION)) {
                normalizer.apply_into(row, out);
            }
        });
    });
}

fn sketch(c: &mut Criterion) {
    let mut group = c.benchmark_group("sketch");
    group.sample_size(10);
    for samples in [100_000, 1_281_167] {
        let difficulty = difficulty(samples);
        group.bench_function(BenchmarkId::from_parameter(samples), |b| {
            b.iter(|| Sketch::new(black_box(&difficulty)));
        });
    }
}

/// Cost must not grow with the number of samples.
fn schedule_entry(c: &mut Criterion) {
    let mut group = c.benchmark_group("schedule_entry");
    for samples in [10_000, 1_000_000, 100_000_000] {
        let sketch = Sketch::new(&difficulty(samples));
        let schedule = Schedule::preset(samples as u64);
        for order in [Order::EasyFirst, Order::HardFirst] {
            let mut iteration = 0;
            let id = BenchmarkId::new(format!("{order:?}"), samples);
            group.bench_function(id, |b| {
                b.iter(|| {
                    iteration = (iteration + 1) % schedule.warmup();
                    let entry = schedule.entry(black_box(&sketch), order, iteration);
                    (entry, Weights::new(&sketch, order, entry.temperature))
                });
            });
        }
    }
}

fn weight_vector(c: &mut Criterion) {
    let mut group = c.benchmark_group("weight_vector");
    let difficulty = difficulty(1_281_167);
    let weights = Weights::new(&Sketch::new(&difficulty), Order::EasyFirst, 0.1);
    let mut out = vec![0.0; difficulty.len()];
    group.bench_function("1281167", |b| {
        b.iter(|| weights.fill(black_box(&difficulty), &mut out));
    });
    let mut bytes = vec![0; 4 * difficulty.len()];
    group.bench_function("bytes/1281167", |b| {
        b.iter(|| weights.fill_le_bytes(black_box(&difficulty), &mut bytes));
    });
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let one_thread = one_thread.expect("a pool of one thread");
    group.bench_function("one_thread/1281167", |b| {
        b.iter(|| one_thread.install(|| weights.fill(black_box(&difficulty), &mut out)));
    });
}

fn sampling(c: &mut Criterion) {
    const DRAWS: usize = 1 << 20;
    for samples in [1_000_000, 50_000_000] {
        let sampler = Sampler::new(&difficulty(samples)).expect("fewer than 2^32 samples");
        let stream = Stream::new(1, 2, 3);
        let mut group = c.benchmark_group("sampling");
        group.sample_size(10);
        group.bench_function(BenchmarkId::new("alias", samples), |b| {
            b.iter(|| sampler.draws(Order::EasyFirst, black_box(0.02), stream));
        });
        let draws = sampler.draws(Order::EasyFirst, 0.02, stream);
        let mut out = vec![0; DRAWS];
        group.throughput(Throughput::Elements(DRAWS as u64));
        group.bench_function(BenchmarkId::new("draws", samples), |b| {
            b.iter(|| draws.fill(0, &mut out));
        });
    }
}

criterion_group!(
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2));
    targets = normalisation, sketch, schedule_entry, weight_vector, sampling
);
criterion_main!(benches);
