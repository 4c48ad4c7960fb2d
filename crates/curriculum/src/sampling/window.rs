//! Exact draws without replacement over the iterations of a window.
//!
//! Successive sampling: each draw takes one of the samples that the window has not drawn yet, with
//! probability proportional to its weight at the draw's own iteration.
//!
//! With a the distance in units of τ from the most favoured sample that is left, the samples lie in
//! segments of the sorted order, at most ½ of a wide near that sample and an eighth of a farther out: a
//! hundred of them at any τ, as none is needed where exp(−a) is zero. A draw picks a segment by its
//! envelope, the number of its samples left times exp(−a) at its start; one of those samples uniformly;
//! and accepts with probability exp(−(a − a of the start)), or else starts again. What has been drawn
//! since the segments were made counts as a rejection, so that they may be kept for a while: until the
//! iteration ends, or rejections outnumber draws. So a window ends quickly too when it takes all
//! samples, and when the temperature makes each draw a foregone conclusion: O(log N) a draw.
//!
//! Draws of a window come one after the other, each with the counters (position in the window,
//! attempt): the window is a pure function of its parameters.

use super::{Sampler, Stream, alias::AliasTable, remaining::Remaining};
use crate::{CurriculumError, Order, curve::inverse, exp::exp, philox::scaled};

/// Width of the segments near the favoured end, in units of τ.
const NARROW: f64 = 0.5;

/// Width of those farther out, as a share of their distance.
const SHARE: f64 = 0.125;

/// Beyond it exp(−a) is zero.
const FARTHEST: f64 = 708.0;

/// Tells the counters of windows from those of iterations, which are below 2⁵³.
const DOMAIN: u32 = 1 << 31;

impl Stream {
    /// The random numbers of a window; `number` is below 2⁶³.
    #[must_use]
    pub fn of_window(version: u64, seed: u64, number: u64) -> Self {
        Self::from_words(
            version,
            seed,
            [number as u32, (number >> 32) as u32 | DOMAIN],
        )
    }
}

impl Sampler {
    /// The draws of a window, `batch` for each of its iterations, which have these temperatures, > 0.
    ///
    /// # Errors
    /// [`CurriculumError::WindowTooLarge`] when there are not as many samples.
    pub fn window(
        &self,
        order: Order,
        temperatures: &[f64],
        batch: u32,
        stream: Stream,
    ) -> Result<Vec<u32>, CurriculumError> {
        let draws = temperatures.len() as u64 * u64::from(batch);
        let samples = self.samples();
        if draws > samples {
            return Err(CurriculumError::WindowTooLarge { draws, samples });
        }
        let mut window = Window {
            samples: Favoured {
                sampler: self,
                hard: order.favours_hard(),
            },
            remaining: Remaining::all(samples),
            stream,
            drawn: Vec::with_capacity(draws as usize),
        };
        for temperature in temperatures {
            window.iteration(inverse(*temperature), u64::from(batch));
        }
        Ok(window.drawn)
    }
}

struct Window<'a> {
    samples: Favoured<'a>,
    remaining: Remaining,
    stream: Stream,
    drawn: Vec<u32>,
}

/// The samples by position from the favoured end.
#[derive(Clone, Copy)]
struct Favoured<'a> {
    sampler: &'a Sampler,
    hard: bool,
}

/// What draws are made from until it is out of date.
struct Segments {
    segments: Vec<Segment>,
    /// Samples left in each.
    left: Vec<u64>,
    envelopes: AliasTable,
}

#[derive(Clone, Copy)]
struct Segment {
    /// Distance of its first sample from the favoured end of all samples.
    nearest: f64,
    /// Samples left in it when it was made.
    count: u64,
}

impl Window<'_> {
    fn iteration(&mut self, inverse_temperature: f64, batch: u64) {
        let mut made = None;
        let (mut accepted, mut rejected) = (0, 0);
        for _ in 0..batch {
            let position = self.drawn.len() as u64;
            let mut attempt = 0u32;
            loop {
                let segments = made.get_or_insert_with(|| self.segments(inverse_temperature));
                let words = [attempt, self.stream.salt];
                let [first, second] = self.stream.philox.pair(position, words);
                attempt = attempt.wrapping_add(1);
                if let Some(sample) = self.pick(segments, inverse_temperature, first, second) {
                    self.remaining.take(sample);
                    self.drawn.push(self.samples.index(sample));
                    accepted += 1;
                    break;
                }
                rejected += 1;
                if rejected > accepted + 16 * segments.left.len() {
                    made = None;
                    (accepted, rejected) = (0, 0);
                }
            }
        }
    }

    /// The sample that two random numbers stand for, unless they are rejected.
    fn pick(
        &self,
        segments: &mut Segments,
        inverse_temperature: f64,
        first: u64,
        second: u64,
    ) -> Option<u64> {
        let number = segments.envelopes.pick(first);
        let segment = segments.segments[number];
        let (k, remainder) = scaled(second, segment.count);
        if k >= segments.left[number] {
            return None;
        }
        let before: u64 = segments.left[..number].iter().sum();
        let sample = self.remaining.nth(before + k);
        let excess = self.samples.distance(sample) - segment.nearest;
        let accepted = excess == 0.0
            || (remainder as f64) < exp(-excess * inverse_temperature) * 2f64.powi(64);
        if !accepted {
            return None;
        }
        segments.left[number] -= 1;
        Some(sample)
    }

    /// Segments from the first sample that is left, of which there is one, as far as samples can be
    /// drawn.
    fn segments(&self, inverse_temperature: f64) -> Segments {
        let samples = self.samples.count();
        let mut start = self.remaining.nth(0);
        let origin = self.samples.distance(start);
        let (mut segments, mut left, mut envelopes) = (Vec::new(), Vec::new(), Vec::new());
        let mut before = 0;
        while start < samples {
            let nearest = self.samples.distance(start);
            let a = (nearest - origin) * inverse_temperature;
            if a > FARTHEST {
                break;
            }
            let farthest = a + NARROW.max(a * SHARE);
            let within = |i| (self.samples.distance(i) - origin) * inverse_temperature <= farthest;
            let end = gallop(start, samples, within);
            let next = self.remaining.before(end);
            let count = next - before;
            if count > 0 {
                segments.push(Segment { nearest, count });
                left.push(count);
                envelopes.push(count as f64 * exp(-a));
            }
            (start, before) = (end, next);
        }
        Segments {
            segments,
            left,
            envelopes: AliasTable::new(&envelopes),
        }
    }
}

impl Favoured<'_> {
    fn count(self) -> u64 {
        self.sampler.samples()
    }

    fn ranked(self, position: u64) -> crate::ranked::Ranked {
        let ranked = &self.sampler.ranked;
        let position = position as usize;
        ranked[if self.hard {
            ranked.len() - 1 - position
        } else {
            position
        }]
    }

    fn index(self, position: u64) -> u32 {
        self.ranked(position).index()
    }

    /// From the favoured end of all samples.
    fn distance(self, position: u64) -> f64 {
        let difficulty = |position| f64::from(self.ranked(position).difficulty());
        (difficulty(position) - difficulty(0)).abs()
    }
}

/// The first position after `start` and up to `end` that `within`, which holds at `start` and then for
/// some more, does not hold at. O(log of how far that is).
fn gallop(start: u64, end: u64, within: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut step) = (start, 1);
    while low + step < end && within(low + step) {
        low += step;
        step *= 2;
    }
    // Holds at low; does not at high, or high is the end.
    let mut high = end.min(low + step);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if within(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests;
