use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;

/// A seeded mixture of round normal clusters of standard deviation 1 per dimension.
pub(crate) struct Mixture {
    pub(crate) rows: usize,
    pub(crate) width: usize,
    pub(crate) components: usize,
    /// Standard deviation of the components' centres, per dimension.
    pub(crate) spread: f64,
    pub(crate) seed: u64,
}

impl Mixture {
    /// Row i belongs to component i modulo their number.
    pub(crate) fn rows(&self) -> Array2<f32> {
        let mut rng = Xoshiro256Plus::seed_from_u64(self.seed);
        let centres = Array2::from_shape_simple_fn((self.components, self.width), || {
            self.spread * normal(&mut rng)
        });
        Array2::from_shape_fn((self.rows, self.width), |(row, column)| {
            (centres[[row % self.components, column]] + normal(&mut rng)) as f32
        })
    }
}

/// Box and Muller's transform.
fn normal(rng: &mut Xoshiro256Plus) -> f64 {
    let radius = (-2.0 * (1.0 - rng.r#gen::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.r#gen::<f64>()).cos()
}
