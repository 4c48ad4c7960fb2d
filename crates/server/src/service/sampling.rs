//! The answer of `SampleIndices`.

use crate::{
    error::ServiceError,
    from_proto::sampling::Sampling,
    published::{LoadedVersion, Published},
    to_proto,
};
use curriculum::{Entry, Sampler, Stream};
use curriculum_proto::v1;

/// Draws a rank's share. Blocks on the store when the version is not in memory.
pub(super) fn answer(
    published: &Published,
    sampling: &Sampling,
    server_instance: String,
) -> Result<v1::SampleIndicesResponse, ServiceError> {
    let version = published.load(&sampling.curriculum, &sampling.version)?;
    sampling.check(version.samples())?;
    let sampler = published.sampler(&version, sampling.order)?;
    let each = sampling.per_iteration();
    let mut indices = vec![0u32; each * sampling.iterations as usize];
    let mut entries = Vec::with_capacity(sampling.iterations as usize);
    for (iteration, indices) in (sampling.first..).zip(indices.chunks_mut(each)) {
        let entry = version.entry(sampling.order, iteration);
        draw(sampling, &version, &sampler, entry, indices);
        entries.push(to_proto::entry(entry));
    }
    Ok(v1::SampleIndicesResponse {
        version: version.id.to_string(),
        server_instance,
        sample_count: version.samples(),
        entries,
        indices: to_proto::indices(&indices),
    })
}

fn draw(
    sampling: &Sampling,
    version: &LoadedVersion,
    sampler: &Sampler,
    entry: Entry,
    indices: &mut [u32],
) {
    let stream = Stream::new(version.number(), sampling.seed, entry.iteration);
    let draws = sampler.draws(sampling.order, entry.temperature, stream);
    draws.fill_every(sampling.world_size, sampling.rank, indices);
}
