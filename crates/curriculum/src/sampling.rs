//! Exact draws at a cost that does not depend on the number of samples: with replacement here, without
//! in `window`.
//!
//! The samples lie sorted by difficulty in the bins of the sketch. At a temperature τ, with x the
//! distance from the favoured end, a bin's envelope is its count times exp(−x₀/τ), x₀ the least x in
//! it: O(bins) for a [Walker alias table](https://doi.org/10.1145/355744.355749). A draw picks a bin
//! by its envelope and a sample of it uniformly, and accepts with probability exp(−(x − x₀)/τ), or
//! else starts again: O(1), and P(sample) ∝ exp(−x/τ) exactly. As bins are narrow near the ends,
//! some nine of ten picks are accepted at any temperature.
//!
//! Randomness is [`Philox`] at the counter (draw, attempt), under a key made from version, seed and
//! iteration: draw j of an iteration is a pure function of these, on whichever rank or thread.
//! "Exactly" leaves the rounding of f64 and biases below 2⁻³² in the acceptance and 2⁻⁶⁴·n in the
//! picks.

mod alias;
mod remaining;
mod window;

use crate::{
    CurriculumError, Order,
    curve::inverse,
    exp::exp,
    philox::{Philox, scaled},
    ranked::{Ranked, by_difficulty},
    sketch::bins,
};
use alias::AliasTable;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Draws per parallel task.
const TASK: usize = 8_192;

/// Draws whose memory accesses overlap.
const GROUP: usize = 64;

/// The samples of a version, ready for draws at any temperature; eight bytes each.
///
/// [`Order::EasyFirst`] and [`Order::HardFirst`] share one; a control order has its own, built from
/// what [`Order::reassign`] returns.
#[derive(Clone, Debug)]
pub struct Sampler {
    ranked: Vec<Ranked>,
    bins: Vec<Bin>,
}

#[derive(Clone, Copy, Debug)]
struct Bin {
    start: u32,
    count: u32,
    low: f32,
    high: f32,
}

/// The random numbers of one iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    philox: Philox,
    salt: u32,
}

/// The draws of one iteration.
#[derive(Clone, Debug)]
pub struct Draws<'a> {
    sampler: &'a Sampler,
    stream: Stream,
    bins: AliasTable,
    favours_hard: bool,
    inverse_temperature: f64,
}

impl Sampler {
    /// Sorts the samples: O(N log N), once for every version.
    ///
    /// # Errors
    /// [`CurriculumError::NoSamples`], or [`CurriculumError::TooManySamples`] beyond 2³² − 1.
    pub fn new(difficulty: &[f32]) -> Result<Self, CurriculumError> {
        let ranked = by_difficulty(difficulty)?;
        if ranked.is_empty() {
            return Err(CurriculumError::NoSamples);
        }
        let mut start = 0;
        let bin = |members: &[Ranked]| {
            let count = members.len() as u32;
            let bin = Bin {
                start,
                count,
                low: members[0].difficulty(),
                high: members[members.len() - 1].difficulty(),
            };
            start += count;
            bin
        };
        let bins = bins(&ranked, Ranked::difficulty).map(bin).collect();
        Ok(Self { ranked, bins })
    }

    /// Number of samples, at least 1.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.ranked.len() as u64
    }

    /// Bytes that it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(self.ranked.as_slice()) + size_of_val(self.bins.as_slice())
    }

    /// The draws at τ = `temperature` > 0, infinite for uniform ones: O(bins).
    #[must_use]
    pub fn draws(&self, order: Order, temperature: f64, stream: Stream) -> Draws<'_> {
        let favours_hard = order.favours_hard();
        let inverse_temperature = inverse(temperature);
        let extreme = if favours_hard {
            self.bins
                .iter()
                .map(|bin| bin.high)
                .fold(f32::NEG_INFINITY, f32::max)
        } else {
            self.bins
                .iter()
                .map(|bin| bin.low)
                .fold(f32::INFINITY, f32::min)
        };
        let envelope = |bin: &Bin| {
            let least = (f64::from(bin.best(favours_hard)) - f64::from(extreme)).abs();
            f64::from(bin.count) * exp(-least * inverse_temperature)
        };
        let envelopes: Vec<f64> = self.bins.iter().map(envelope).collect();
        Draws {
            sampler: self,
            stream,
            bins: AliasTable::new(&envelopes),
            favours_hard,
            inverse_temperature,
        }
    }
}

impl Bin {
    /// The most probable difficulty in the bin.
    fn best(&self, favours_hard: bool) -> f32 {
        if favours_hard { self.high } else { self.low }
    }
}

impl Stream {
    /// `version` is any number that identifies the version, such as the start of its digest.
    #[must_use]
    pub fn new(version: u64, seed: u64, iteration: u64) -> Self {
        Self::from_words(version, seed, [iteration as u32, (iteration >> 32) as u32])
    }

    fn from_words(version: u64, seed: u64, words: [u32; 2]) -> Self {
        let [key, salt] = Philox::new(seed).pair(version, words);
        Self {
            philox: Philox::new(key),
            salt: salt as u32,
        }
    }
}

/// A pick that is not yet accepted.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    sample: Ranked,
    /// Distance from the most probable difficulty in its bin.
    excess: f64,
    /// Decides on its acceptance, in units of 2⁻⁶⁴.
    random: f64,
}

impl Draws<'_> {
    /// Index of the sample of draw `j`.
    #[must_use]
    pub fn get(&self, j: u64) -> u32 {
        self.get_from(j, 0)
    }

    /// Writes draws `start`, `start` + 1, … to `out`, in parallel if there are many.
    pub fn fill(&self, start: u64, out: &mut [u32]) {
        self.fill_every(1, start, out);
    }

    /// Writes draws `start`, `start` + `step`, … to `out`: those of one of `step` ranks.
    pub fn fill_every(&self, step: u64, start: u64, out: &mut [u32]) {
        let fill = |(task, out): (usize, &mut [u32])| {
            let first = (task * TASK) as u64;
            for (group, out) in (0..).zip(out.chunks_mut(GROUP)) {
                let first = first + group * GROUP as u64;
                self.fill_group(step, start.wrapping_add(first.wrapping_mul(step)), out);
            }
        };
        if out.len() <= TASK {
            fill((0, out));
        } else {
            out.par_chunks_mut(TASK).enumerate().for_each(fill);
        }
    }

    /// First attempts step by step: numbers and exponentials become vector code, and the processor
    /// waits for all samples at the same time.
    fn fill_group(&self, step: u64, start: u64, out: &mut [u32]) {
        let (mut pairs, mut picks) = ([[0; 2]; GROUP], [(0, 0.0, 0.0); GROUP]);
        let (mut indices, mut excesses) = ([0; GROUP], [0.0; GROUP]);
        let (mut randoms, mut limits) = ([0.0; GROUP], [0.0; GROUP]);
        let words = [0, self.stream.salt];
        self.stream.philox.pairs(start, step, words, &mut pairs);
        for (pick, pair) in picks.iter_mut().zip(pairs) {
            *pick = self.pick(pair);
        }
        for (i, pick) in picks.into_iter().enumerate() {
            let candidate = self.candidate(pick);
            indices[i] = candidate.sample.index();
            (excesses[i], randoms[i]) = (candidate.excess, candidate.random);
        }
        pulp::Arch::new().dispatch(Limits {
            excesses: &excesses,
            inverse_temperature: self.inverse_temperature,
            limits: &mut limits,
        });
        for (i, index) in out.iter_mut().enumerate() {
            *index = indices[i];
            // Without a branch between the two: neither is a rare case.
            if !((excesses[i] == 0.0) | (randoms[i] < limits[i])) {
                let j = start.wrapping_add((i as u64).wrapping_mul(step));
                *index = self.get_from(j, 1);
            }
        }
    }

    fn get_from(&self, j: u64, mut attempt: u32) -> u32 {
        loop {
            let pair = self.stream.philox.pair(j, [attempt, self.stream.salt]);
            let candidate = self.candidate(self.pick(pair));
            let limit = limit(candidate.excess, self.inverse_temperature);
            if candidate.excess == 0.0 || candidate.random < limit {
                return candidate.sample.index();
            }
            attempt = attempt.wrapping_add(1);
        }
    }

    /// A position in order of difficulty, the most probable difficulty of its bin, and what decides on
    /// its acceptance.
    fn pick(&self, [first, second]: [u64; 2]) -> (u32, f32, f64) {
        let bin = self.sampler.bins[self.bins.pick(first)];
        let (offset, remainder) = scaled(second, u64::from(bin.count));
        let place = bin.start + offset as u32;
        (place, bin.best(self.favours_hard), remainder as f64)
    }

    fn candidate(&self, (place, best, random): (u32, f32, f64)) -> Candidate {
        let sample = self.sampler.ranked[place as usize];
        Candidate {
            sample,
            excess: (f64::from(sample.difficulty()) - f64::from(best)).abs(),
            random,
        }
    }
}

/// Probability of acceptance in units of 2⁻⁶⁴.
#[inline(always)]
fn limit(excess: f64, inverse_temperature: f64) -> f64 {
    exp(-excess * inverse_temperature) * 2f64.powi(64)
}

/// The loop that is compiled for each instruction set.
struct Limits<'a> {
    excesses: &'a [f64; GROUP],
    inverse_temperature: f64,
    limits: &'a mut [f64; GROUP],
}

impl WithSimd for Limits<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (limit_of, excess) in self.limits.iter_mut().zip(self.excesses) {
            *limit_of = limit(*excess, self.inverse_temperature);
        }
    }
}

#[cfg(test)]
mod tests;
