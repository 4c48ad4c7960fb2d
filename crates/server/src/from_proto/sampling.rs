//! What a trainer draws.

use super::{MAX_ITERATION, MAX_ITERATIONS, Result, iteration, named, order};
use crate::error::ServiceError;
use curriculum::Order;
use curriculum_proto::v1;
use curriculum_store::Reference;

/// Indices of one answer: 2 MiB, within gRPC's default limit of a message.
const MAX_INDICES: u64 = 1 << 19;

/// A rank's share of consecutive iterations.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sampling {
    pub(crate) curriculum: String,
    pub(crate) version: Reference,
    pub(crate) order: Order,
    pub(crate) seed: u64,
    pub(crate) first: u64,
    /// At least 1.
    pub(crate) iterations: u64,
    /// Of all ranks; a multiple of their number.
    pub(crate) batch: u64,
    pub(crate) rank: u64,
    /// At least 1.
    pub(crate) world_size: u64,
    pub(crate) expected_samples: Option<u64>,
}

impl Sampling {
    /// Indices of one iteration.
    pub(crate) fn per_iteration(&self) -> usize {
        (self.batch / self.world_size) as usize
    }

    /// # Errors
    /// When the trainer's dataset has another number of samples.
    pub(crate) fn check(&self, samples: u64) -> Result<()> {
        match self.expected_samples {
            Some(expected) if expected != samples => {
                Err(ServiceError::OtherSamples { expected, samples })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Everything that can be told without the version.
pub(crate) fn sampling(request: v1::SampleIndicesRequest) -> Result<Sampling> {
    if request.window != 0 {
        let reason = "draws without replacement are not there yet";
        return Err(ServiceError::invalid("window", reason));
    }
    let (curriculum, version) = named(&request.curriculum, &request.version)?;
    let sampling = Sampling {
        curriculum,
        version,
        order: order(request.order, request.order_seed)?,
        seed: request.seed,
        first: iteration("iteration", request.iteration)?,
        iterations: u64::from(request.iterations.max(1)),
        batch: u64::from(request.batch),
        rank: u64::from(request.rank),
        world_size: u64::from(request.world_size.max(1)),
        expected_samples: request.expected_samples,
    };
    ranks(&sampling)?;
    amount(&sampling)?;
    Ok(sampling)
}

fn ranks(sampling: &Sampling) -> Result<()> {
    let Sampling {
        batch,
        rank,
        world_size,
        ..
    } = *sampling;
    if batch == 0 {
        return Err(ServiceError::invalid("batch", "must be at least 1"));
    }
    if rank >= world_size {
        let reason = format!("is {rank}, but must be below world_size {world_size}");
        return Err(ServiceError::invalid("rank", reason));
    }
    if !batch.is_multiple_of(world_size) {
        let reason = format!(
            "is {batch}, but must be a multiple of world_size {world_size}: every rank draws as many"
        );
        return Err(ServiceError::invalid("batch", reason));
    }
    Ok(())
}

fn amount(sampling: &Sampling) -> Result<()> {
    let Sampling {
        first, iterations, ..
    } = *sampling;
    if iterations > MAX_ITERATIONS as u64 {
        let reason = format!("is {iterations}, but must be at most {MAX_ITERATIONS}");
        return Err(ServiceError::invalid("iterations", reason));
    }
    if first + iterations > MAX_ITERATION {
        let reason = format!("is {first}, and {iterations} from there go beyond 2^53");
        return Err(ServiceError::invalid("iteration", reason));
    }
    let each = sampling.per_iteration() as u64;
    if each > MAX_INDICES {
        let reason = format!("gives a rank {each} indices, but one answer holds at most 2^19");
        return Err(ServiceError::invalid("batch", reason));
    }
    if iterations * each > MAX_INDICES {
        let reason = format!(
            "is {iterations}, at {each} indices each, but one answer holds at most 2^19 indices"
        );
        return Err(ServiceError::invalid("iterations", reason));
    }
    Ok(())
}
