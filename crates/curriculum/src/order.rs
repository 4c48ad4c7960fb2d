//! Which end of the difficulties comes first.

/// Which samples are favoured while the temperature is finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// p ∝ exp(−d/τ): prototypes first, as in the paper.
    #[default]
    EasyFirst,
    /// p ∝ exp(+d/τ).
    HardFirst,
}
