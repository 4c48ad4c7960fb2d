//! What a trainer's request costs, without the wire.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use curriculum::{Order, Schedule, Sketch, Weights};
use std::hint::black_box;

/// Skewed towards easy, like distances within clusters.
fn difficulty(samples: usize) -> Vec<f32> {
    (0..samples)
        .map(|i| ((i as f64 * 0.618_033_988_749).fract().powi(2)) as f32)
        .collect()
}

fn sketch(c: &mut Criterion) {
    let mut group = c.benchmark_group("sketch");
    group.sample_size(10);
    for samples in [100_000, 1_281_167] {
        let difficulty = difficulty(samples);
        group.bench_function(BenchmarkId::from_parameter(samples), |b| {
            b.iter(|| Sketch::new(black_box(&difficulty)))
        });
    }
}

/// Cost must not grow with the number of samples.
fn schedule_entry(c: &mut Criterion) {
    let mut group = c.benchmark_group("schedule_entry");
    for samples in [10_000, 1_000_000, 10_000_000] {
        let sketch = Sketch::new(&difficulty(samples));
        let schedule = Schedule::preset(samples as u64);
        let mut iteration = 0;
        group.bench_function(BenchmarkId::from_parameter(samples), |b| {
            b.iter(|| {
                iteration = (iteration + 1) % schedule.warmup();
                schedule.entry(black_box(&sketch), Order::EasyFirst, iteration)
            });
        });
    }
}

fn weight_vector(c: &mut Criterion) {
    let mut group = c.benchmark_group("weight_vector");
    let difficulty = difficulty(1_281_167);
    let weights = Weights::new(&Sketch::new(&difficulty), Order::EasyFirst, 0.1);
    let mut out = vec![0.0; difficulty.len()];
    group.bench_function("1281167", |b| {
        b.iter(|| weights.fill(black_box(&difficulty), &mut out))
    });
}

criterion_group!(benches, sketch, schedule_entry, weight_vector);
criterion_main!(benches);
