//! The answer of `SampleIndices`.

use crate::{
    error::ServiceError,
    from_proto::sampling::Sampling,
    metrics::answers,
    published::{Lack, LoadedVersion, Lookup, Published, WindowOf},
    to_proto,
};
use curriculum::{Entry, Stream};
use curriculum_proto::v1;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Indices that are drawn in a fraction of a millisecond.
const FEW: usize = 8_192;

/// Iterations whose temperatures are found in as little.
const FEW_ITERATIONS: u64 = 8;

/// Whether the answer takes so little that handing it to another thread would take longer.
pub(super) fn is_at_hand(published: &Published, sampling: &Sampling) -> bool {
    let few = sampling.iterations <= FEW_ITERATIONS
        && sampling.per_iteration() * sampling.iterations as usize <= FEW;
    if !few {
        return false;
    }
    let iterations = sampling.first..sampling.first + sampling.iterations;
    let windows = iterations.filter_map(|iteration| window_of(sampling, iteration));
    published.can_draw(
        &sampling.curriculum,
        &sampling.version,
        sampling.order,
        windows,
    )
}

/// The answer to one call, as far as it has come: it goes on after each value that it lacked.
pub(super) struct Drawing {
    sampling: Sampling,
    server_instance: String,
    /// Whether its client has.
    left: Arc<AtomicBool>,
    begun: Option<Begun>,
}

/// What of an answer is there. The version stays, wherever its name points meanwhile.
struct Begun {
    version: Arc<LoadedVersion>,
    entries: Vec<Entry>,
    indices: Vec<u32>,
    /// Iterations whose indices are drawn, of those with windows.
    drawn: usize,
}

impl Drawing {
    pub(super) fn new(sampling: Sampling, server_instance: String, left: Arc<AtomicBool>) -> Self {
        Self {
            sampling,
            server_instance,
            left,
            begun: None,
        }
    }

    /// Draws a rank's share, unless its client has left.
    pub(super) fn answer(
        &mut self,
        lookup: &Lookup<'_>,
    ) -> Result<v1::SampleIndicesResponse, Lack> {
        let begun = match &mut self.begun {
            Some(begun) => begun,
            None => self.begun.insert(Begun::new(lookup, &self.sampling)?),
        };
        match self.sampling.window {
            0 => begun.draw(lookup, &self.sampling, &self.left)?,
            _ => begun.cut(lookup, &self.sampling, &self.left)?,
        }
        if let Some(last) = begun.entries.last() {
            answers::show(&self.sampling.curriculum, last);
        }
        let entries = begun.entries.iter().copied();
        Ok(v1::SampleIndicesResponse {
            version: begun.version.id.to_string(),
            server_instance: self.server_instance.clone(),
            sample_count: begun.version.samples(),
            entries: entries.map(to_proto::entry).collect(),
            indices: to_proto::indices(&begun.indices),
        })
    }
}

impl Begun {
    fn new(lookup: &Lookup<'_>, sampling: &Sampling) -> Result<Self, Lack> {
        let version = lookup.version(&sampling.curriculum, &sampling.version)?;
        sampling.check(version.samples())?;
        let iterations = sampling.first..sampling.first + sampling.iterations;
        let entries: Vec<Entry> = iterations
            .map(|iteration| version.entry(sampling.order, iteration))
            .collect();
        Ok(Self {
            indices: vec![0; sampling.per_iteration() * entries.len()],
            version,
            entries,
            drawn: 0,
        })
    }

    /// With replacement.
    fn draw(
        &mut self,
        lookup: &Lookup<'_>,
        sampling: &Sampling,
        left: &AtomicBool,
    ) -> Result<(), Lack> {
        let sampler = lookup.sampler(&self.version, sampling.order)?;
        let shares = self.indices.chunks_mut(sampling.per_iteration());
        for (entry, share) in self.entries.iter().zip(shares) {
            check(left)?;
            let stream = Stream::new(self.version.number(), sampling.seed, entry.iteration);
            let draws = sampler.draws(sampling.order, entry.temperature, stream);
            draws.fill_every(sampling.world_size, sampling.rank, share);
        }
        Ok(())
    }

    /// Without replacement, from windows that all ranks share.
    fn cut(
        &mut self,
        lookup: &Lookup<'_>,
        sampling: &Sampling,
        left: &AtomicBool,
    ) -> Result<(), Lack> {
        let shares = self.indices.chunks_mut(sampling.per_iteration());
        for (iteration, share) in (sampling.first..).zip(shares).skip(self.drawn) {
            let Some(of) = window_of(sampling, iteration) else {
                continue;
            };
            check(left)?;
            let window = lookup.window(&self.version, sampling.order, of)?;
            let drawn = window.iteration(iteration % of.iterations, sampling.batch);
            let rank = drawn.iter().skip(sampling.rank as usize);
            for (index, drawn) in share
                .iter_mut()
                .zip(rank.step_by(sampling.world_size as usize))
            {
                *index = *drawn;
            }
            self.drawn += 1;
        }
        Ok(())
    }
}

/// Several iterations may take a second: nobody may be waiting for the next one.
fn check(left: &AtomicBool) -> Result<(), ServiceError> {
    match left.load(Ordering::Relaxed) {
        true => Err(ServiceError::Left),
        false => Ok(()),
    }
}

/// The window that an iteration lies in, if there are any.
fn window_of(sampling: &Sampling, iteration: u64) -> Option<WindowOf> {
    Some(WindowOf {
        seed: sampling.seed,
        number: iteration.checked_div(sampling.window)?,
        iterations: sampling.window,
        batch: sampling.batch,
    })
}
