//! The answer of `SampleIndices`.

use crate::{
    error::ServiceError,
    from_proto::sampling::Sampling,
    metrics::answers,
    published::{LoadedVersion, Published, WindowOf},
    to_proto,
};
use curriculum::{Entry, Stream};
use curriculum_proto::v1;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Draws a rank's share, unless its client has `left`. Blocks on the store when the version is not in memory.
pub(super) fn answer(
    published: &Published,
    sampling: &Sampling,
    server_instance: String,
    left: &AtomicBool,
) -> Result<v1::SampleIndicesResponse, ServiceError> {
    let version = published.load(&sampling.curriculum, &sampling.version)?;
    sampling.check(version.samples())?;
    let iterations = sampling.first..sampling.first + sampling.iterations;
    let entries: Vec<Entry> = iterations
        .map(|iteration| version.entry(sampling.order, iteration))
        .collect();
    if let Some(last) = entries.last() {
        answers::show(&sampling.curriculum, last);
    }
    let mut indices = vec![0; sampling.per_iteration() * entries.len()];
    match sampling.window {
        0 => draw(published, &version, sampling, &entries, &mut indices, left)?,
        _ => cut(published, &version, sampling, &mut indices, left)?,
    }
    Ok(v1::SampleIndicesResponse {
        version: version.id.to_string(),
        server_instance,
        sample_count: version.samples(),
        entries: entries.into_iter().map(to_proto::entry).collect(),
        indices: to_proto::indices(&indices),
    })
}

/// With replacement.
fn draw(
    published: &Published,
    version: &LoadedVersion,
    sampling: &Sampling,
    entries: &[Entry],
    indices: &mut [u32],
    left: &AtomicBool,
) -> Result<(), ServiceError> {
    let sampler = published.sampler(version, sampling.order)?;
    let shares = indices.chunks_mut(sampling.per_iteration());
    for (entry, share) in entries.iter().zip(shares) {
        check(left)?;
        let stream = Stream::new(version.number(), sampling.seed, entry.iteration);
        let draws = sampler.draws(sampling.order, entry.temperature, stream);
        draws.fill_every(sampling.world_size, sampling.rank, share);
    }
    Ok(())
}

/// Without replacement, from windows that all ranks share.
fn cut(
    published: &Published,
    version: &LoadedVersion,
    sampling: &Sampling,
    indices: &mut [u32],
    left: &AtomicBool,
) -> Result<(), ServiceError> {
    let shares = indices.chunks_mut(sampling.per_iteration());
    for (iteration, share) in (sampling.first..).zip(shares) {
        let Some(of) = window_of(sampling, iteration) else {
            continue;
        };
        check(left)?;
        let window = published.window(version, sampling.order, of)?;
        let drawn = window.iteration(iteration % of.iterations, sampling.batch);
        let rank = drawn.iter().skip(sampling.rank as usize);
        for (index, drawn) in share
            .iter_mut()
            .zip(rank.step_by(sampling.world_size as usize))
        {
            *index = *drawn;
        }
    }
    Ok(())
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
