//! What the report says, asked of the server.

use crate::{
    client::Connection,
    weights::{entry, fetch, top_tenth},
};
use anyhow::Context;
use curriculum_proto::v1::{
    self, clusters::Choice, curriculum_service_client::CurriculumServiceClient,
};

/// Points of the curve of effective fractions.
const CURVE_POINTS: u64 = 60;

/// The curve goes on beyond warm-up by this part of it.
const BEYOND: u64 = 8;

/// One version, its schedule and what its weights do.
pub(crate) struct Facts {
    pub(crate) curriculum: String,
    pub(crate) version: v1::Version,
    /// What extracts features in the server now.
    pub(crate) extractor: Option<v1::Extractor>,
    pub(crate) summary: v1::Summary,
    /// Temperature and effective fraction from iteration 0 to a little beyond warm-up.
    pub(crate) curve: Vec<v1::ScheduleEntry>,
    pub(crate) milestones: Vec<Milestone>,
}

/// The weights of one iteration, in short.
pub(crate) struct Milestone {
    pub(crate) entry: v1::ScheduleEntry,
    /// Share of draws that fall on the easiest tenth of the samples.
    pub(crate) top_tenth: f64,
}

/// Asks for everything a report needs. Later answers are pinned to the version of the first.
///
/// # Errors
/// The server's status, or an answer without the part that was asked for.
pub(crate) async fn collect(
    client: &mut CurriculumServiceClient<Connection>,
    request: v1::GetCurriculumRequest,
) -> anyhow::Result<Facts> {
    let curriculum = request.curriculum.clone();
    let answer = client.get_curriculum(request).await?.into_inner();
    let version = answer.version.context("the server sent no version")?;
    let summary = version
        .summary
        .clone()
        .context("the server sent no summary")?;
    let warmup = warmup_iterations(&version);
    let schedule = v1::GetScheduleRequest {
        curriculum: curriculum.clone(),
        version: version.id.clone(),
        iterations: curve_iterations(warmup),
        order: v1::Order::EasyFirst.into(),
        order_seed: 0,
    };
    let curve = client.get_schedule(schedule).await?.into_inner().entries;
    let mut milestones = Vec::new();
    for iteration in milestone_iterations(warmup) {
        milestones.push(milestone(client, &curriculum, &version.id, iteration).await?);
    }
    Ok(Facts {
        curriculum,
        version,
        extractor: answer.extractor,
        summary,
        curve,
        milestones,
    })
}

async fn milestone(
    client: &mut CurriculumServiceClient<Connection>,
    curriculum: &str,
    version: &str,
    iteration: u64,
) -> anyhow::Result<Milestone> {
    let request = v1::GetWeightsRequest {
        curriculum: curriculum.to_owned(),
        version: version.to_owned(),
        iteration,
        order: v1::Order::EasyFirst.into(),
        range: None,
        encoding: v1::Encoding::F32.into(),
        order_seed: 0,
        if_none_match: String::new(),
    };
    let (header, weights) = fetch(client, request).await?;
    Ok(Milestone {
        entry: entry(&header)?,
        top_tenth: top_tenth(&weights),
    })
}

/// Iterations until the weights are uniform.
pub(crate) fn warmup_iterations(version: &v1::Version) -> u64 {
    let schedule = version
        .parameters
        .as_ref()
        .and_then(|parameters| parameters.schedule);
    schedule
        .and_then(|schedule| schedule.warmup_iterations)
        .unwrap_or_default()
}

/// How the number of clusters was chosen.
pub(crate) fn method(version: &v1::Version) -> String {
    match version
        .parameters
        .as_ref()
        .and_then(|parameters| parameters.clusters.as_ref())
        .and_then(|clusters| clusters.choice.as_ref())
    {
        Some(Choice::Auto(range)) => format!("chosen in {}–{}", range.min, range.max),
        Some(Choice::OneOf(list)) => format!("chosen of {}", list.clusters.len()),
        Some(Choice::Fixed(_)) => "given".to_owned(),
        None => "by default".to_owned(),
    }
}

/// Evenly over warm-up and a little beyond, with the end of warm-up among them; ascending.
fn curve_iterations(warmup: u64) -> Vec<u64> {
    let last = warmup.saturating_add((warmup / BEYOND).max(1));
    let share = |i: u64| (u128::from(last) * u128::from(i) / u128::from(CURVE_POINTS - 1)) as u64;
    let mut iterations: Vec<u64> = (0..CURVE_POINTS).map(share).chain([warmup]).collect();
    iterations.sort_unstable();
    iterations.dedup();
    iterations
}

/// 0, a quarter, half, three quarters and the end of warm-up.
fn milestone_iterations(warmup: u64) -> Vec<u64> {
    let quarter = |i: u64| (u128::from(warmup) * u128::from(i) / 4) as u64;
    let mut iterations: Vec<u64> = (0..=4).map(quarter).collect();
    iterations.dedup();
    iterations
}

/// Four significant digits or so; the infinite temperature of uniform weights as a sign.
pub(crate) fn temperature(value: f64) -> String {
    if value.is_infinite() {
        "∞".to_owned()
    } else {
        format!("{value:.4}")
    }
}

/// The last `most` characters of `text`, which is where paths differ, without control characters:
/// ids and labels come from a dataset that may want to write to a terminal.
pub(crate) fn clipped(text: &str, most: usize) -> String {
    let plain = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    match text.chars().count().checked_sub(most) {
        None | Some(0) => text.chars().map(plain).collect(),
        Some(more) => std::iter::once('…')
            .chain(text.chars().skip(more + 1).map(plain))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterations_cover_warmup_and_a_little_more() {
        let curve = curve_iterations(1500);
        assert_eq!((curve.first(), curve.last()), (Some(&0), Some(&1687)));
        assert!(curve.contains(&1500) && curve.is_sorted_by(|a, b| a < b));
        assert_eq!(milestone_iterations(1500), [0, 375, 750, 1125, 1500]);
    }

    #[test]
    fn short_and_huge_warmups_have_iterations_too() {
        assert_eq!(curve_iterations(0), [0, 1]);
        assert_eq!(milestone_iterations(0), [0]);
        assert_eq!(milestone_iterations(2), [0, 1, 2]);
        assert!(curve_iterations(u64::MAX).contains(&u64::MAX));
    }

    #[test]
    fn texts_are_clipped() {
        assert_eq!(clipped("abc", 3), "abc");
        assert_eq!(clipped("train/00042.png", 6), "…2.png");
        assert_eq!(clipped("\u{1b}[2Jx", 9), "\u{fffd}[2Jx");
    }
}
