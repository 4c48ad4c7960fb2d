//! Fit and assignment beside scikit-learn and faiss, in one run and on one matrix, so that the
//! ratios can be read off. The peers run in the Python that `PEERS_PYTHON` names, where `peers.py`
//! needs numpy, scikit-learn and faiss; without it only our own figures are shown.
//!
//! The matrix is a mixture of 100 components on the unit sphere of 384 dimensions, half of whose
//! variance lies within the components. Seconds are those of fit and assignment, the objective is
//! the mean squared distance. Arguments choose the numbers of rows.

#![expect(clippy::print_stdout, reason = "a table is what this is for")]

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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

/// What is compared at each size; `auto` is the best k from 2 to 20.
const CASES: [(usize, &[&str]); 2] = [
    (100_000, &["20", "100", "1000", "auto"]),
    (1_281_167, &["20", "978"]),
];

struct Figure {
    who: String,
    clusters: String,
    seconds: f64,
    objective: f64,
}

fn ours(rows: &Array2<f32>, clusters: &str) -> Figure {
    let options = Options {
        clusters: match clusters.parse() {
            Ok(clusters) => Clusters::Fixed(clusters),
            Err(_) => Clusters::Auto { min: 2, max: 20 },
        },
        ..Options::default()
    };
    let start = Instant::now();
    let found = cluster(&rows.view(), &options, &mut |_| ControlFlow::Continue(()));
    let seconds = start.elapsed().as_secs_f64();
    let found = found.expect("the mixture can be clustered");
    Figure {
        who: "ours".to_owned(),
        clusters: clusters.to_owned(),
        seconds,
        objective: found.inertia / rows.nrows() as f64,
    }
}

/// The peers' figures, as they come.
fn peers(python: &Path, matrix: &Path, cases: &[&str]) -> Vec<Figure> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/peers.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg(matrix)
        .args(cases)
        .stdout(Stdio::piped())
        .spawn()
        .expect("PEERS_PYTHON can be run");
    let output = child.stdout.take().expect("the output is piped");
    let figures = BufReader::new(output).lines().map(|line| {
        let line = line.expect("the peers print text");
        let fields: Vec<&str> = line.split('\t').collect();
        let [who, clusters, seconds, objective] = fields[..] else {
            panic!("not a figure: {line}");
        };
        Figure {
            who: who.to_owned(),
            clusters: clusters.to_owned(),
            seconds: seconds.parse().expect("seconds are a number"),
            objective: objective.parse().expect("an objective is a number"),
        }
    });
    let figures = figures.collect();
    let ended = child.wait().expect("the peers end");
    assert!(ended.success(), "the peers failed");
    figures
}

/// Writes a matrix as NumPy does.
fn save(rows: &Array2<f32>, path: &Path) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let shape = rows.dim();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape:?}, }}");
    let header = format!("{header:<117}\n");
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for value in rows {
        file.write_all(&value.to_le_bytes())?;
    }
    file.flush()
}

/// Ours with its ratios to the fastest peer and to the best objective, then the peers.
fn print(rows: usize, ours: &Figure, peers: &[Figure]) {
    let peers: Vec<_> = peers
        .iter()
        .filter(|peer| peer.clusters == ours.clusters)
        .collect();
    let least = |of: fn(&Figure) -> f64| {
        peers
            .iter()
            .map(|peer| of(peer))
            .fold(f64::INFINITY, f64::min)
    };
    let (fastest, best) = (least(|peer| peer.seconds), least(|peer| peer.objective));
    let name = format!("{rows}x{WIDTH} k={}", ours.clusters);
    println!(
        "{name:<24} {:<22} {:>8.3} s   objective {:.5}   {:.2} x the fastest peer's time, {:.4} x the best objective",
        ours.who,
        ours.seconds,
        ours.objective,
        ours.seconds / fastest,
        ours.objective / best,
    );
    for peer in peers {
        println!(
            "{name:<24} {:<22} {:>8.3} s   objective {:.5}",
            peer.who, peer.seconds, peer.objective
        );
    }
}

fn main() {
    let wanted: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let python = std::env::var_os("PEERS_PYTHON").map(PathBuf::from);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (count, cases) in CASES {
        if !wanted.is_empty() && !wanted.contains(&count) {
            continue;
        }
        let rows = mixture(count);
        let found: Vec<Figure> = cases.iter().map(|clusters| ours(&rows, clusters)).collect();
        let peers = python.as_ref().map(|python| {
            let matrix = folder.join(format!("mixture-{count}.npy"));
            save(&rows, &matrix).expect("the target folder has room for the matrix");
            let figures = peers(python, &matrix, cases);
            std::fs::remove_file(&matrix).expect("the matrix can be removed");
            figures
        });
        for figure in &found {
            print(count, figure, peers.as_deref().unwrap_or_default());
        }
    }
}
