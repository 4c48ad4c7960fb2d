//! The calls that tests make of a server.

use crate::{PATIENCE, TestServer};
use curriculum_proto::v1::{
    self, JobState, curriculum_service_client::CurriculumServiceClient, get_weights_response::Part,
    ingest_service_client::IngestServiceClient,
};
use std::path::Path;
use tokio::time::timeout;
use tonic::{Status, transport::Channel};

/// The most bytes of one chunk of weights, by the contract.
const MAX_CHUNK_BYTES: usize = 1 << 20;

/// A whole stream of weights, put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The first message.
    pub header: v1::WeightsHeader,
    /// One value per sample of the header's range.
    pub values: Vec<f32>,
    /// Messages that carried the values.
    pub chunks: usize,
}

impl Weights {
    /// The header's schedule entry.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn entry(&self) -> v1::ScheduleEntry {
        self.header.entry.expect("a header without an entry")
    }

    /// Sum in f64, so that only the values' own rounding shows.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.values.iter().map(|w| f64::from(*w)).sum()
    }

    /// The bits of every value: equal only for equal bytes on the wire.
    #[must_use]
    pub fn bits(&self) -> Vec<u32> {
        self.values.iter().map(|w| w.to_bits()).collect()
    }
}

/// A job on `source` with `clusters` clusters and everything else by default.
#[must_use]
pub fn submission(curriculum: &str, source: &Path, clusters: u32) -> v1::SubmitJobRequest {
    let choice = Some(v1::clusters::Choice::Fixed(clusters));
    v1::SubmitJobRequest {
        curriculum: curriculum.to_owned(),
        source: source.to_str().unwrap().to_owned(),
        parameters: Some(v1::Parameters {
            clusters: Some(v1::Clusters { choice }),
            ..v1::Parameters::default()
        }),
        ..v1::SubmitJobRequest::default()
    }
}

/// Weights of all samples of the newest version.
#[must_use]
pub fn weights_of(curriculum: &str, iteration: u64, order: v1::Order) -> v1::GetWeightsRequest {
    v1::GetWeightsRequest {
        curriculum: curriculum.to_owned(),
        iteration,
        order: order.into(),
        ..v1::GetWeightsRequest::default()
    }
}

impl TestServer {
    /// A client of the jobs' side.
    #[must_use]
    pub fn ingest(&self) -> IngestServiceClient<Channel> {
        IngestServiceClient::new(self.channel())
    }

    /// A client of the trainers' side.
    #[must_use]
    pub fn curricula(&self) -> CurriculumServiceClient<Channel> {
        CurriculumServiceClient::new(self.channel())
    }

    /// SubmitJob.
    ///
    /// # Errors
    /// The server's status.
    pub async fn submit(
        &self,
        request: v1::SubmitJobRequest,
    ) -> Result<v1::SubmitJobResponse, Status> {
        Ok(self.ingest().submit_job(request).await?.into_inner())
    }

    /// SubmitJob that must be accepted as new work; the job.
    pub async fn submit_new(&self, request: v1::SubmitJobRequest) -> v1::Job {
        let answer = self.submit(request).await.unwrap();
        assert!(answer.created, "known already: {answer:?}");
        answer.job.unwrap()
    }

    /// GetJob.
    pub async fn job(&self, id: &str) -> v1::GetJobResponse {
        let request = v1::GetJobRequest {
            id: id.to_owned(),
            ..v1::GetJobRequest::default()
        };
        self.ingest().get_job(request).await.unwrap().into_inner()
    }

    /// Watches a job until `reached` holds, and returns it as it was then.
    ///
    /// # Panics
    /// When the stream ends before, or nothing is heard of the job for [`PATIENCE`].
    pub async fn watch_until(&self, id: &str, reached: impl Fn(&v1::Job) -> bool) -> v1::Job {
        let request = v1::WatchJobRequest { id: id.to_owned() };
        let mut stream = self.ingest().watch_job(request).await.unwrap().into_inner();
        let mut last = None;
        loop {
            let message = timeout(PATIENCE, stream.message()).await;
            let Some(message) = message.expect("the job hangs").unwrap() else {
                panic!("the stream ended at {last:?}");
            };
            let job = message.job.unwrap();
            if reached(&job) {
                return job;
            }
            last = Some(job);
        }
    }

    /// Watches a job until it has ended.
    pub async fn ended(&self, id: &str) -> v1::Job {
        self.watch_until(id, |job| {
            matches!(
                job.state(),
                JobState::Succeeded | JobState::Failed | JobState::Cancelled
            )
        })
        .await
    }

    /// Watches a job until nothing more is heard of it, however that comes about.
    ///
    /// # Panics
    /// When it hangs.
    pub async fn settled(&self, id: &str) {
        let request = v1::WatchJobRequest { id: id.to_owned() };
        let Ok(answer) = self.ingest().watch_job(request).await else {
            return;
        };
        let mut stream = answer.into_inner();
        let watch = async { while let Ok(Some(_)) = stream.message().await {} };
        timeout(PATIENCE, watch).await.expect("the job hangs");
    }

    /// Watches a job until it is published.
    ///
    /// # Panics
    /// When it ends otherwise.
    pub async fn published(&self, id: &str) -> v1::Job {
        let job = self.ended(id).await;
        assert_eq!(job.state(), JobState::Succeeded, "{job:?}");
        job
    }

    /// Submits new work and watches it until it is published.
    pub async fn publish(&self, request: v1::SubmitJobRequest) -> v1::Job {
        let job = self.submit_new(request).await;
        self.published(&job.id).await
    }

    /// GetWeights, the whole stream.
    ///
    /// # Errors
    /// The server's status.
    ///
    /// # Panics
    /// When the stream breaks the contract: header first and once, chunks in order, without gaps, of
    /// whole values, none above 1 MiB, and together the header's range.
    pub async fn weights(&self, request: v1::GetWeightsRequest) -> Result<Weights, Status> {
        let mut stream = self.curricula().get_weights(request).await?.into_inner();
        let Some(Part::Header(header)) = stream.message().await?.and_then(|first| first.part)
        else {
            panic!("the first message is no header");
        };
        let range = header.range.unwrap();
        let (mut values, mut chunks) = (Vec::new(), 0);
        while let Some(message) = stream.message().await? {
            let Some(Part::Chunk(chunk)) = message.part else {
                panic!("a second header: {message:?}");
            };
            assert_eq!(chunk.start, range.start + values.len() as u64);
            assert!(chunk.values.len() <= MAX_CHUNK_BYTES);
            let (whole, rest) = chunk.values.as_chunks::<4>();
            assert!(rest.is_empty() && !whole.is_empty());
            values.extend(whole.iter().copied().map(f32::from_le_bytes));
            chunks += 1;
        }
        assert_eq!(values.len() as u64, range.end - range.start);
        Ok(Weights {
            header,
            values,
            chunks,
        })
    }

    /// GetCurriculum, the newest version.
    pub async fn curriculum(&self, name: &str) -> v1::GetCurriculumResponse {
        let request = v1::GetCurriculumRequest {
            curriculum: name.to_owned(),
            version: String::new(),
        };
        let answer = self.curricula().get_curriculum(request).await;
        answer.unwrap().into_inner()
    }
}

/// The parameters of a submission, to change.
///
/// # Panics
/// When the submission has none; [`submission`] sets them.
#[must_use]
pub fn parameters(request: &mut v1::SubmitJobRequest) -> &mut v1::Parameters {
    request.parameters.get_or_insert_default()
}
