//! The method: from distances to difficulty, temperature, schedule, weights and draws.
//!
//! Source: "From Prototypes to General Distributions: An Efficient Curriculum for Masked Image
//! Modeling" (CVPR 2025). Pure arithmetic: no IO, no async, no clustering library.
//!
//! Features are normalised and clustered; a sample's distance to its centroid, normalised within the
//! cluster, is its difficulty dᵢ: 0 for a prototype, 1 for the farthest. Samples are drawn with
//! pᵢ ∝ exp(−dᵢ/τ). The temperature τ follows from a quantity that can be planned, the effective
//! fraction r(τ): the expected share of distinct samples among as many draws as there are samples.
//! It rises along a pacing function from a start r₀ to that of uniform weights, 1 − 1/e, where the
//! curriculum ends; at every iteration τ solves r(τ) = target. A sketch of the difficulties makes
//! that cost the same at any number of samples.
//!
//! | module | holds |
//! |---|---|
//! | [`features`] | per-dimension z-score and unit rows |
//! | [`difficulty`] | scores to difficulty, by cluster or class |
//! | [`order`] | which end comes first; control orders for experiments |
//! | [`sketch`] | the difficulties as some thousand weighted points, so that cost does not grow with N |
//! | [`effective`] | the effective fraction, its ceiling and its floor |
//! | [`solver`] | the temperature that reaches a target fraction |
//! | [`pacing`] | how the target grows |
//! | [`schedule`] | target and temperature by iteration, presets by dataset size |
//! | [`weights`] | the probabilities themselves, and how they are encoded |
//! | [`sampling`] | exact draws from them in constant time |
//! | [`philox`] | the counter-based generator behind draws and shuffles |
//!
//! Private: `curve` (r and its slope over a sketch), `exp` (vectorisable eˣ), `ranked` (samples in
//! order of difficulty), `error`.
//!
//! ```
//! use curriculum::{Order, Sampler, Schedule, ScheduleOptions, Sketch, Status, Stream, Weights};
//!
//! let difficulty: Vec<f32> = (0..1000).map(|i| i as f32 / 999.0).collect();
//! let sketch = Sketch::new(&difficulty);
//! let options = ScheduleOptions { initial_effective_fraction: Some(0.25), ..Default::default() };
//! let schedule = Schedule::new(&options, 1000)?;
//!
//! let entry = schedule.entry(&sketch, Order::EasyFirst, 0);
//! assert_eq!(entry.status, Status::Ok);
//! assert!((entry.effective_fraction - 0.25).abs() < 1e-9);
//!
//! let mut weights = vec![0.0; 1000];
//! Weights::new(&sketch, Order::EasyFirst, entry.temperature).fill(&difficulty, &mut weights);
//! assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
//! assert!(weights[0] > weights[999]);
//!
//! // Draw 7 of iteration 0, by version, seed and iteration.
//! let sampler = Sampler::new(&difficulty)?;
//! let draws = sampler.draws(Order::EasyFirst, entry.temperature, Stream::new(1, 42, 0));
//! assert!(draws.get(7) < 1000);
//! # Ok::<(), curriculum::CurriculumError>(())
//! ```

mod curve;
pub mod difficulty;
pub mod effective;
mod error;
mod exp;
pub mod features;
pub mod order;
pub mod pacing;
pub mod philox;
mod ranked;
pub mod sampling;
pub mod schedule;
pub mod sketch;
pub mod solver;
pub mod weights;

pub use error::CurriculumError;
pub use order::Order;
pub use pacing::Pacing;
pub use sampling::{Sampler, Stream};
pub use schedule::{Entry, Phase, Schedule, ScheduleOptions};
pub use sketch::Sketch;
pub use solver::Status;
pub use weights::Weights;
