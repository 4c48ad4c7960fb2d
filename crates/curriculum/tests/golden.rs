//! Against the outputs of the public Python code: 3,000 samples, warm-up 1000, start 0.2.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too")]

use curriculum::{Order, Schedule, ScheduleOptions, Sketch, Status, Weights};
use ndarray::{Array0, Array1};
use ndarray_npy::{NpzReader, ReadableElement};
use std::fs::File;

const REFERENCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/data/golden/reference_a.npz"
);

/// The public code's strategy `difficulty` favours easy samples, `easy` hard ones.
const STRATEGIES: [(&str, Order); 2] =
    [("difficulty", Order::EasyFirst), ("easy", Order::HardFirst)];

struct Reference(NpzReader<File>);

impl Reference {
    fn open() -> Self {
        Self(NpzReader::new(File::open(REFERENCE).unwrap()).unwrap())
    }

    fn array<T: ReadableElement + Clone>(&mut self, name: &str) -> Vec<T> {
        let array: Array1<T> = self.0.by_name(name).unwrap();
        array.to_vec()
    }

    fn number(&mut self, name: &str) -> f64 {
        let array: Array0<f64> = self.0.by_name(name).unwrap();
        array.into_scalar()
    }
}

/// The public code's search stops once |r(τ) − target| < 1e-4.
const FRACTION_TOLERANCE: f64 = 1e-4;

/// Σ|Δw| that such a difference in r makes: up to 7.5e-4 here, most near the ceiling, where r hardly
/// depends on τ.
const STOPPED_EARLY_TOLERANCE: f64 = 1e-3;

/// Σ|Δw| at the same temperature: the public code's weights come from f32.
const SINGLE_PRECISION_TOLERANCE: f64 = 1e-6;

struct Golden {
    reference: Reference,
    difficulty: Vec<f32>,
    sketch: Sketch,
    schedule: Schedule,
}

impl Golden {
    fn open() -> Self {
        let mut reference = Reference::open();
        let difficulty: Vec<f32> = reference.array("difficulty_unsupervised");
        let options = ScheduleOptions {
            initial_effective_fraction: Some(0.2),
            warmup_iterations: Some(1000),
            // The public code's ceiling at every N; just below the exact one.
            max_effective_ratio: Some(1.0 - (-1f64).exp()),
            ..ScheduleOptions::default()
        };
        Self {
            sketch: Sketch::new(&difficulty),
            schedule: Schedule::new(&options, 3_000).unwrap(),
            reference,
            difficulty,
        }
    }

    /// Σ|Δw| between the weights at `temperature` and the public code's at `iteration`.
    fn weight_error(&mut self, name: &str, order: Order, iteration: u64, temperature: f64) -> f64 {
        let theirs: Vec<f64> = self.reference.array(&format!("weights_{name}_{iteration}"));
        let mut ours = vec![0.0; self.difficulty.len()];
        Weights::new(&self.sketch, order, temperature).fill(&self.difficulty, &mut ours);
        assert_eq!(theirs.len(), ours.len());
        let pairs = theirs.iter().zip(ours);
        pairs.map(|(a, b)| (a - f64::from(b)).abs()).sum()
    }
}

#[test]
fn temperatures_and_weights_agree_during_warmup() {
    let mut golden = Golden::open();
    for (name, order) in STRATEGIES {
        for t in [0, 100, 500, 900, 999] {
            let entry = golden.schedule.entry(&golden.sketch, order, t);
            assert_eq!(entry.status, Status::Ok, "{name} {t}");
            assert!((entry.effective_fraction - entry.target).abs() < 1e-9);

            let theirs = golden.reference.number(&format!("tau_{name}_{t}"));
            let reached = golden.sketch.effective_fraction(order, theirs, 3_000);
            let error = (reached - entry.target).abs();
            assert!(error < FRACTION_TOLERANCE, "{name} {t}: {error:e}");

            let error = golden.weight_error(name, order, t, entry.temperature);
            assert!(error < STOPPED_EARLY_TOLERANCE, "{name} {t}: {error:e}");
            let error = golden.weight_error(name, order, t, theirs);
            assert!(error < SINGLE_PRECISION_TOLERANCE, "{name} {t}: {error:e}");
        }
    }
}

/// The public code returns ones after warm-up; ours are the same, normalised.
#[test]
fn weights_are_uniform_after_warmup() {
    let mut golden = Golden::open();
    for (name, order) in STRATEGIES {
        let entry = golden.schedule.entry(&golden.sketch, order, 1000);
        assert_eq!(entry.status, Status::Uniform);
        let theirs: Vec<f64> = golden.reference.array(&format!("weights_{name}_1000"));
        let weights = Weights::new(&golden.sketch, order, entry.temperature);
        for (theirs, d) in theirs.iter().zip(&golden.difficulty) {
            assert_eq!(weights.of(*d), theirs / 3_000.0);
        }
    }
}
