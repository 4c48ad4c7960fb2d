//! The weight vector beside numpy's, in one run. numpy runs in the Python that `PEERS_PYTHON`
//! names; without it only our own figure is shown.

#![expect(clippy::print_stdout, reason = "a table is what this is for")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use curriculum::{Order, Sketch, Weights};

const SAMPLES: usize = 1_281_167;

/// The least of twenty runs, in milliseconds.
fn least(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..20 {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    best
}

fn main() {
    let difficulty: Vec<f32> = (0..SAMPLES)
        .map(|i| ((i as f64 * 0.618_033_988_749).fract().powi(2)) as f32)
        .collect();
    let weights = Weights::new(&Sketch::new(&difficulty), Order::EasyFirst, 0.1);
    let mut out = vec![0.0; SAMPLES];
    let ours = least(|| weights.fill(&difficulty, &mut out));
    println!("weights of {SAMPLES} samples: ours {ours:.2} ms");
    let Some(python) = std::env::var_os("PEERS_PYTHON") else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/numpy/numpy_weights.py");
    let output = Command::new(python)
        .arg(script)
        .arg(SAMPLES.to_string())
        .output()
        .expect("PEERS_PYTHON can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    let seconds = text.split_whitespace().map(|field| field.parse::<f64>());
    let seconds: Vec<f64> = seconds.map(|s| s.expect("numpy prints seconds")).collect();
    let names = ["numpy, exponentials alone", "numpy, the whole softmax"];
    for (name, seconds) in names.iter().zip(&seconds) {
        let peer = seconds * 1e3;
        println!("{name:<40} {peer:.2} ms   ours takes {:.2} x", ours / peer);
    }
    assert_eq!(seconds.len(), 2, "numpy_weights.py failed");
}
