//! One iteration's weights, put together from the stream.

use anyhow::{Context, ensure};
use curriculum_proto::v1::{
    self, curriculum_service_client::CurriculumServiceClient, get_weights_response::Part,
};
use tonic::transport::Channel;

/// Asks for weights and checks that every value arrived.
pub(crate) async fn fetch(
    client: &mut CurriculumServiceClient<Channel>,
    request: v1::GetWeightsRequest,
) -> anyhow::Result<(v1::WeightsHeader, Vec<f32>)> {
    let mut messages = client.get_weights(request).await?.into_inner();
    let mut header = None;
    let mut weights = Vec::new();
    while let Some(message) = messages.message().await? {
        match message.part {
            Some(Part::Header(first)) => header = Some(first),
            Some(Part::Chunk(chunk)) => {
                weights.extend(
                    chunk
                        .values
                        .as_chunks::<4>()
                        .0
                        .iter()
                        .map(|x| f32::from_le_bytes(*x)),
                );
            }
            None => {}
        }
    }
    let header = header.context("the server sent no header")?;
    let range = header.range.unwrap_or_default();
    ensure!(
        weights.len() as u64 == range.end - range.start,
        "the stream of weights ended early"
    );
    Ok((header, weights))
}

/// The schedule entry of a header.
pub(crate) fn entry(header: &v1::WeightsHeader) -> anyhow::Result<v1::ScheduleEntry> {
    header.entry.context("the server sent no schedule entry")
}

/// `ok`, `floor`, `ceiling` or `uniform`.
pub(crate) fn status_name(status: v1::SolverStatus) -> &'static str {
    match status {
        v1::SolverStatus::Unspecified => "unknown",
        v1::SolverStatus::Ok => "ok",
        v1::SolverStatus::Floor => "floor",
        v1::SolverStatus::Ceiling => "ceiling",
        v1::SolverStatus::Uniform => "uniform",
    }
}

/// Share of draws that fall on the most probable tenth of the samples.
pub(crate) fn top_tenth(weights: &[f32]) -> f64 {
    let mut sorted = weights.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    sorted
        .iter()
        .take(weights.len().div_ceil(10))
        .map(|w| f64::from(*w))
        .sum()
}
