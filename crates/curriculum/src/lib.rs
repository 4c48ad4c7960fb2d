//! The method: from distances to difficulty, temperature, schedule and weights.
//!
//! Source: "From Prototypes to General Distributions: An Efficient Curriculum for Masked Image
//! Modeling" (CVPR 2025). Pure arithmetic: no IO, no async, no clustering library.
//!
//! | module | holds |
//! |---|---|
//! | [`features`] | per-dimension z-score and unit rows |
//! | [`difficulty`] | distances to difficulty in [0, 1] |
//! | [`sketch`] | the difficulties as some thousand weighted points, so that cost does not grow with N |
//! | [`effective`] | the effective fraction of a distribution |
//! | [`solver`] | the temperature that reaches a target fraction |
//! | [`schedule`] | target fraction by iteration, presets by dataset size |
//! | [`weights`] | the probabilities themselves |
//!
//! ```
//! use curriculum::{Order, Schedule, Sketch, Weights};
//!
//! let difficulty = [0.0_f32, 0.1, 0.3, 0.7, 1.0];
//! let sketch = Sketch::new(&difficulty);
//! let schedule = Schedule::preset(difficulty.len() as u64);
//! let entry = schedule.entry(&sketch, Order::EasyFirst, 100);
//! let mut weights = [0.0; 5];
//! Weights::new(&sketch, Order::EasyFirst, entry.temperature).fill(&difficulty, &mut weights);
//! assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
//! assert!(weights[0] > weights[4]);
//! ```

pub mod difficulty;
pub mod effective;
pub mod features;
pub mod order;
pub mod schedule;
pub mod sketch;
pub mod solver;
pub mod weights;

pub use order::Order;
pub use schedule::{Entry, InvalidSchedule, Pacing, Phase, Schedule};
pub use sketch::Sketch;
pub use solver::Status;
pub use weights::Weights;
