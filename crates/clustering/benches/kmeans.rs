//! Assignment and fit beside linfa's, in one run, so that the ratio can be read off.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use curriculum_clustering::{Clusters, Lloyd, Options, cluster};
use linfa::traits::{Fit, Predict};
use linfa::{DatasetBase, ParamGuard};
use linfa_clustering::{KMeansInit, KMeansParams};
use linfa_nn::distance::L2Dist;
use ndarray::s;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256Plus;

#[path = "../tests/kmeans/support.rs"]
mod support;

use support::Mixture;

fn mixture(rows: usize, components: usize) -> Mixture {
    Mixture {
        rows,
        width: 128,
        components,
        spread: 0.5,
        seed: 1,
    }
}

/// Three iterations from given centroids: the same work for both.
fn parameters(
    rows: &ndarray::Array2<f32>,
    clusters: usize,
) -> KMeansParams<f32, Xoshiro256Plus, L2Dist> {
    KMeansParams::new(clusters, Xoshiro256Plus::seed_from_u64(1), L2Dist)
        .init_method(KMeansInit::Precomputed(
            rows.slice(s![..clusters, ..]).to_owned(),
        ))
        .n_runs(1)
        .max_n_iterations(3)
        .tolerance(1e-9)
}

fn assignment(criterion: &mut Criterion) {
    for clusters in [20, 100] {
        let rows = mixture(20_000, clusters).rows();
        let parameters = parameters(&rows, clusters);
        let dataset = DatasetBase::from(rows.clone());
        let checked = parameters.clone().check().expect("valid parameters");
        let ours = Lloyd::new(checked).fit(&dataset).expect("ours fits");
        let linfas = parameters.fit(&dataset).expect("linfa fits");
        let mut group = criterion.benchmark_group(format!("assign 20000x128 k={clusters}"));
        group.bench_function("ours", |b| b.iter(|| ours.predict(black_box(&rows))));
        group.bench_function("linfa", |b| b.iter(|| linfas.predict(black_box(&rows))));
    }
}

fn lloyd(criterion: &mut Criterion) {
    for clusters in [20, 100] {
        let rows = mixture(20_000, clusters).rows();
        let parameters = parameters(&rows, clusters);
        let ours = Lloyd::new(parameters.clone().check().expect("valid parameters"));
        let dataset = DatasetBase::from(rows);
        let name = format!("lloyd, 3 iterations, 20000x128 k={clusters}");
        let mut group = criterion.benchmark_group(name);
        group.bench_function("ours", |b| b.iter(|| ours.fit(black_box(&dataset))));
        group.bench_function("linfa", |b| b.iter(|| parameters.fit(black_box(&dataset))));
    }
}

/// linfa has neither mini-batch starts nor automatic k to set beside this.
fn automatic(criterion: &mut Criterion) {
    let rows = mixture(60_000, 20).rows();
    let options = Options {
        clusters: Clusters::Auto { min: 2, max: 20 },
        ..Options::default()
    };
    let unwatched = &mut |_| ControlFlow::Continue(());
    criterion.bench_function("auto 60000x128 k=2..=20", |b| {
        b.iter(|| cluster(black_box(&rows.view()), &options, unwatched));
    });
}

criterion_group! {
    name = kmeans;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = assignment, lloyd, automatic
}
criterion_main!(kmeans);
