//! What a trainer draws.

use super::{MAX_ITERATION, MAX_ITERATIONS, Result, iteration, named, order};
use crate::error::ServiceError;
use curriculum::Order;
use curriculum_proto::v1;
use curriculum_store::Reference;

/// Indices of one answer: 2 MiB, within gRPC's default limit of a message.
const MAX_INDICES: u64 = 1 << 19;

/// Draws of a window, and of the iterations of an answer if they have windows: they are drawn in one
/// piece, some seconds at most.
const MAX_WINDOW_DRAWS: u64 = 1 << 24;

/// Iterations of a window: each finds its own temperature and segments, a tenth of a millisecond, before
/// the first draw can be answered.
const MAX_WINDOW: u64 = 1 << 16;

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
    /// Iterations without replacement; 0 for replacement.
    pub(crate) window: u64,
    pub(crate) expected_samples: Option<u64>,
}

impl Sampling {
    /// Indices of one iteration.
    pub(crate) fn per_iteration(&self) -> usize {
        (self.batch / self.world_size) as usize
    }

    /// # Errors
    /// When the trainer's dataset has another number of samples, or a window needs more.
    pub(crate) fn check(&self, samples: u64) -> Result<()> {
        match self.expected_samples {
            Some(expected) if expected != samples => {
                return Err(ServiceError::OtherSamples { expected, samples });
            }
            Some(_) | None => {}
        }
        let draws = self.window * self.batch;
        if draws > samples {
            let reason = format!(
                "of {} iterations of {} draws needs {draws} samples, but there are {samples}",
                self.window, self.batch
            );
            return Err(ServiceError::invalid("window", reason));
        }
        Ok(())
    }
}

/// Everything that can be told without the version.
pub(crate) fn sampling(request: v1::SampleIndicesRequest) -> Result<Sampling> {
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
        window: u64::from(request.window),
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
        first,
        iterations,
        batch,
        window,
        ..
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
    if window > MAX_WINDOW {
        let reason = format!("is {window}, but may hold at most 2^16 iterations");
        return Err(ServiceError::invalid("window", reason));
    }
    if window * batch > MAX_WINDOW_DRAWS {
        let reason = format!("is {window}, at {batch} draws each, but may hold at most 2^24 draws");
        return Err(ServiceError::invalid("window", reason));
    }
    if window > 0 && iterations * batch > MAX_WINDOW_DRAWS {
        let reason = format!(
            "is {iterations}, at {batch} draws each, but with a window at most 2^24 draws are answered"
        );
        return Err(ServiceError::invalid("iterations", reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Status;
    use tonic_types::StatusExt;

    fn good() -> v1::SampleIndicesRequest {
        v1::SampleIndicesRequest {
            curriculum: "c@prod".to_owned(),
            batch: 12,
            ..Default::default()
        }
    }

    #[test]
    fn absent_fields_mean_one_iteration_of_one_rank_with_replacement() {
        let made = sampling(good()).unwrap();
        assert_eq!((made.iterations, made.rank, made.world_size), (1, 0, 1));
        assert_eq!((made.window, made.per_iteration()), (0, 12));
        assert_eq!(made.version, Reference::Alias("prod".to_owned()));
        assert!(made.check(5).is_ok());
    }

    #[test]
    fn every_bad_field_is_named() {
        let bad = |change: &dyn Fn(&mut v1::SampleIndicesRequest)| {
            let mut request = good();
            change(&mut request);
            let status = Status::from(sampling(request).unwrap_err());
            status.get_details_bad_request().unwrap().field_violations[0]
                .field
                .clone()
        };
        assert_eq!(bad(&|r| r.batch = 0), "batch");
        assert_eq!(bad(&|r| (r.rank, r.world_size) = (4, 4)), "rank");
        assert_eq!(bad(&|r| r.rank = 1), "rank");
        assert_eq!(bad(&|r| r.world_size = 5), "batch");
        assert_eq!(bad(&|r| r.batch = (1 << 19) + 1), "batch");
        assert_eq!(
            bad(&|r| (r.batch, r.iterations) = (1 << 18, 3)),
            "iterations"
        );
        assert_eq!(
            bad(&|r| (r.batch, r.iterations) = (1, 10_001)),
            "iterations"
        );
        assert_eq!(bad(&|r| r.iteration = 1 << 53), "iteration");
        assert_eq!(bad(&|r| r.iteration = u64::MAX), "iteration");
        assert_eq!(bad(&|r| r.order = 9), "order");
        assert_eq!(bad(&|r| r.version = "x".to_owned()), "version");
        assert_eq!(
            bad(&|r| (r.batch, r.window) = (1 << 12, (1 << 12) + 1)),
            "window"
        );
        assert_eq!(bad(&|r| r.window = u32::MAX), "window");
        assert_eq!(bad(&|r| (r.batch, r.window) = (1, (1 << 16) + 1)), "window");
        let wide = |r: &mut v1::SampleIndicesRequest| {
            (r.batch, r.world_size) = (1 << 20, 1 << 20);
            (r.iterations, r.window) = (17, 1);
        };
        assert_eq!(bad(&wide), "iterations");
    }

    #[test]
    fn the_largest_request_is_accepted() {
        let largest = v1::SampleIndicesRequest {
            iteration: (1 << 53) - 4,
            iterations: 4,
            batch: 1 << 20,
            rank: 7,
            world_size: 8,
            window: 16,
            ..good()
        };
        assert!(sampling(largest).is_ok());
    }

    #[test]
    fn the_version_must_have_the_samples_that_are_expected_and_needed() {
        let made = |expected_samples, window| {
            let request = v1::SampleIndicesRequest {
                expected_samples,
                window,
                ..good()
            };
            sampling(request).unwrap()
        };
        assert!(made(Some(24), 2).check(24).is_ok());
        let status = Status::from(made(Some(24), 0).check(23).unwrap_err());
        assert_eq!(status.code(), tonic::Code::FailedPrecondition);
        assert!(status.message().contains("23") && status.message().contains("24"));
        let status = Status::from(made(None, 2).check(23).unwrap_err());
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert!(status.message().contains("window"), "{status}");
    }
}
