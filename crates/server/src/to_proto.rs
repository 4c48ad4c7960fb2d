//! Domain to wire. Cannot fail.

mod parameters;

use crate::{from_proto::PUSHED, live::LiveExtractor};
use bytes::Bytes;
use curriculum::{Entry, Phase, Status as SolverStatus, weights::Encoding};
use curriculum_pipeline::{JobView, Page, Progress, SampleError};
use curriculum_proto::v1;
use curriculum_store::{
    Candidate, ClusterRecord, CurriculumRecord, Digest, DriftRecord, JobState, Stage,
    SummaryRecord, SummarySample, VersionRecord,
    push::{PushKind, PushState},
};
pub use parameters::pacing;
use parameters::parameters;
use std::ops::Range;

pub(crate) fn entry(entry: Entry) -> v1::ScheduleEntry {
    let phase = match entry.phase {
        Phase::Warmup => v1::Phase::Warmup,
        Phase::Uniform => v1::Phase::Uniform,
    };
    let status = match entry.status {
        SolverStatus::Ok => v1::SolverStatus::Ok,
        SolverStatus::Floor => v1::SolverStatus::Floor,
        SolverStatus::Ceiling => v1::SolverStatus::Ceiling,
        SolverStatus::Uniform => v1::SolverStatus::Uniform,
        SolverStatus::Clamped => v1::SolverStatus::Clamped,
    };
    v1::ScheduleEntry {
        iteration: entry.iteration,
        temperature: entry.temperature,
        effective_fraction: entry.effective_fraction,
        target: entry.target,
        phase: phase.into(),
        status: status.into(),
    }
}

pub(crate) fn encoding(encoding: Encoding) -> v1::Encoding {
    match encoding {
        Encoding::F32 => v1::Encoding::F32,
        Encoding::F16 => v1::Encoding::F16,
        Encoding::U16 => v1::Encoding::U16,
    }
}

pub(crate) fn range(range: &Range<u64>) -> v1::IndexRange {
    v1::IndexRange {
        start: range.start,
        end: range.end,
    }
}

/// Little endian, 4 bytes each.
pub(crate) fn floats(values: &[f32]) -> Bytes {
    little_endian(values, |value| value.to_le_bytes())
}

/// Little endian, 4 bytes each.
pub(crate) fn indices(indices: &[u32]) -> Bytes {
    little_endian(indices, |index| index.to_le_bytes())
}

fn little_endian<T: Copy>(values: &[T], encode: impl Fn(T) -> [u8; 4]) -> Bytes {
    let mut bytes = vec![0; 4 * values.len()];
    for (bytes, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
        *bytes = encode(*value);
    }
    bytes.into()
}

pub(crate) fn curriculum(name: String, record: CurriculumRecord) -> v1::Curriculum {
    let text = |ids: &[Digest]| ids.iter().map(Digest::to_string).collect::<Vec<_>>();
    let alias = |(name, history): (String, Vec<Digest>)| {
        let mut versions = text(&history).into_iter();
        v1::Alias {
            name,
            version: versions.next().unwrap_or_default(),
            previous: versions.collect(),
        }
    };
    v1::Curriculum {
        name,
        versions: text(&record.versions),
        aliases: record.aliases.into_iter().map(alias).collect(),
    }
}

pub(crate) fn version(record: VersionRecord) -> v1::Version {
    v1::Version {
        id: record.id.to_string(),
        source: record.source,
        model: record.model,
        model_digest: record.model_digest.to_string(),
        parameters: Some(parameters(record.parameters)),
        created_at_ms: record.created_at_ms,
        summary: Some(summary(record.summary)),
    }
}

pub(crate) fn extractor(live: &LiveExtractor) -> v1::Extractor {
    v1::Extractor {
        model: live.model.clone(),
        execution_provider: live.execution_provider.to_string(),
        device_ids: live.device_ids.clone(),
        nodes_by_provider: live.nodes.clone(),
    }
}

pub(crate) fn job(view: JobView) -> v1::Job {
    let record = view.record;
    let failure = match &record.state {
        JobState::Failed { stage: at, reason } => Some(v1::Failure {
            stage: stage(*at),
            reason: reason.clone(),
        }),
        JobState::Queued | JobState::Running | JobState::Succeeded | JobState::Cancelled => None,
    };
    let seconds = record.seconds.iter().map(|(at, seconds)| v1::StageSeconds {
        stage: stage(*at),
        seconds: *seconds,
    });
    v1::Job {
        id: record.id.to_string(),
        curriculum: record.curriculum,
        source: record.source,
        model: record.model,
        parameters: Some(parameters(record.parameters)),
        state: state(&record.state).into(),
        stage: stage(record.stage),
        progress: view.progress.map(progress),
        sample_count: record.sample_count,
        failed_count: record.failed_count,
        version: record.version.map(|id| id.to_string()).unwrap_or_default(),
        failure,
        submitted_at_ms: record.submitted_at_ms,
        ended_at_ms: record.ended_at_ms.unwrap_or_default(),
        seconds: seconds.collect(),
        warnings: record.warnings,
        priority: record.priority,
        attempt: record.attempt,
        extends: record.extends.map(|id| id.to_string()).unwrap_or_default(),
    }
}

/// What a watcher gets.
pub(crate) fn watched(mut view: JobView) -> v1::WatchJobResponse {
    let errors = std::mem::take(&mut view.recent_errors);
    v1::WatchJobResponse {
        job: Some(job(view)),
        recent_errors: errors.into_iter().map(sample_error).collect(),
    }
}

/// A page of jobs. One that is full may not be the last.
pub(crate) fn jobs(views: Vec<JobView>, page: Page) -> v1::ListJobsResponse {
    let last = views.last().filter(|_| views.len() == page.limit);
    v1::ListJobsResponse {
        next_page_token: last.map_or_else(String::new, |view| view.record.sequence.to_string()),
        jobs: views.into_iter().map(job).collect(),
    }
}

/// Where a push stands.
pub(crate) fn push(name: &str, state: PushState) -> v1::PushResponse {
    v1::PushResponse {
        samples: state.samples,
        bytes: state.bytes,
        last_id: state.last_id,
        dimension: match state.kind {
            PushKind::Images => 0,
            PushKind::Features { dimension } => dimension,
        },
        complete: state.complete,
        source: format!("{PUSHED}{name}"),
        fingerprint: state.fingerprint,
    }
}

pub(crate) fn sample_error(error: SampleError) -> v1::SampleError {
    let SampleError { index, id, reason } = error;
    v1::SampleError { index, id, reason }
}

fn progress(progress: Progress) -> v1::Progress {
    let Progress {
        done,
        total,
        rate,
        eta_seconds,
        activity,
    } = progress;
    v1::Progress {
        done,
        total,
        rate,
        activity,
        eta_seconds,
    }
}

fn state(state: &JobState) -> v1::JobState {
    match state {
        JobState::Queued => v1::JobState::Queued,
        JobState::Running => v1::JobState::Running,
        JobState::Succeeded => v1::JobState::Succeeded,
        JobState::Failed { .. } => v1::JobState::Failed,
        JobState::Cancelled => v1::JobState::Cancelled,
    }
}

fn stage(stage: Stage) -> i32 {
    let stage = match stage {
        Stage::Submitted => v1::Stage::Submitted,
        Stage::Enumerated => v1::Stage::Enumerated,
        Stage::Extracted => v1::Stage::Extracted,
        Stage::Clustered => v1::Stage::Clustered,
        Stage::Scored => v1::Stage::Scored,
        Stage::Published => v1::Stage::Published,
    };
    stage.into()
}

fn summary(summary: SummaryRecord) -> v1::Summary {
    v1::Summary {
        sample_count: summary.sample_count,
        failed_count: summary.failed_count,
        dimension: summary.dimension,
        inertia: summary.inertia,
        davies_bouldin: summary.davies_bouldin,
        histogram: summary.histogram,
        clusters: summary.clusters.into_iter().map(cluster).collect(),
        candidates: summary.candidates.into_iter().map(candidate).collect(),
        warnings: summary.warnings,
        drift: summary.drift.map(drift),
    }
}

fn drift(drift: DriftRecord) -> v1::Drift {
    let clusters = drift.clusters.into_iter();
    let clusters = clusters.map(|cluster| v1::ClusterDrift {
        threshold: cluster.threshold,
        added: cluster.added,
        beyond: cluster.beyond,
    });
    v1::Drift {
        base: drift.base.to_string(),
        kept: drift.kept,
        added: drift.added,
        beyond: drift.beyond,
        clusters: clusters.collect(),
    }
}

fn cluster(cluster: ClusterRecord) -> v1::ClusterSummary {
    v1::ClusterSummary {
        size: cluster.size,
        mean_distance: cluster.mean_distance,
        nearest: cluster.nearest.into_iter().map(sample).collect(),
        farthest: cluster.farthest.into_iter().map(sample).collect(),
        label: cluster.label.unwrap_or_default(),
    }
}

fn sample(sample: SummarySample) -> v1::SampleSummary {
    v1::SampleSummary {
        index: sample.index,
        id: sample.id,
        label: sample.label.unwrap_or_default(),
        difficulty: sample.difficulty,
    }
}

fn candidate(candidate: Candidate) -> v1::ClusterCandidate {
    v1::ClusterCandidate {
        clusters: candidate.clusters,
        davies_bouldin: candidate.davies_bouldin,
    }
}
