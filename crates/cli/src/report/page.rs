//! The page, rendered. Ids, labels and names are escaped by the template.

use super::{
    chart::{self, Axis, Chart, Frame, Value},
    facts::{Facts, Milestone, clipped, method, temperature, warmup_iterations},
    images::{Images, Thumbnail},
};
use crate::{table::grouped, weights::status_name};
use askama::Template;
use curriculum_proto::v1;

/// Longest id or label in a caption.
const CAPTION_CHARACTERS: usize = 60;

/// Longest id, label or reason in a hover.
const HOVER_CHARACTERS: usize = 300;

/// 1 − 1/e: the effective fraction of uniform weights over many samples.
const CEILING: f64 = 1.0 - 0.367_879_441_171_442_33;

/// Renders the report.
///
/// # Errors
/// When the template cannot be rendered, which no input leads to.
pub(super) fn render(facts: &Facts, images: &Images) -> Result<String, askama::Error> {
    Page::new(facts, images).render()
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    curriculum: &'a str,
    headline: Vec<Fact>,
    details: Vec<Fact>,
    histogram: Chart,
    effective_fraction: Chart,
    davies_bouldin: Option<Chart>,
    milestones: Vec<Row>,
    clusters: Vec<Cluster<'a>>,
    note: Option<&'a str>,
    /// Size of the charts' view box.
    width: f64,
    height: f64,
}

/// Something worth knowing, and its name.
struct Fact {
    name: &'static str,
    value: String,
}

struct Row {
    iteration: String,
    temperature: String,
    effective_fraction: String,
    top_tenth: String,
    /// Length of the bar beside `top_tenth`, 0 to 1.
    top_tenth_share: String,
    status: &'static str,
}

struct Cluster<'a> {
    number: usize,
    size: String,
    share: String,
    mean_distance: String,
    sides: [Side<'a>; 2],
}

/// The samples at one end of a cluster.
struct Side<'a> {
    title: &'static str,
    samples: Vec<Sample<'a>>,
}

struct Sample<'a> {
    image: Option<&'a Thumbnail>,
    /// Why there is no image.
    reason: Option<String>,
    caption: String,
    difficulty: String,
    hover: String,
}

impl<'a> Page<'a> {
    fn new(facts: &'a Facts, images: &'a Images) -> Self {
        let samples = facts.summary.sample_count;
        let clusters = facts.summary.clusters.iter().enumerate();
        Self {
            curriculum: &facts.curriculum,
            headline: headline(facts),
            details: details(facts),
            histogram: chart::histogram(&facts.summary.histogram),
            effective_fraction: effective_fraction(&facts.curve),
            davies_bouldin: davies_bouldin(&facts.summary),
            milestones: facts.milestones.iter().map(row).collect(),
            clusters: clusters
                .map(|(i, summary)| cluster(i, summary, samples, images))
                .collect(),
            note: images.note.as_deref(),
            width: chart::WIDTH,
            height: chart::HEIGHT,
        }
    }
}

fn fact(name: &'static str, value: impl ToString) -> Fact {
    Fact {
        name,
        value: value.to_string(),
    }
}

fn headline(facts: &Facts) -> Vec<Fact> {
    let summary = &facts.summary;
    let index = summary
        .davies_bouldin
        .map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
    let mut headline = vec![
        fact("samples", grouped(summary.sample_count)),
        fact("clusters", summary.clusters.len()),
        fact("Davies–Bouldin", index),
        fact(
            "warm-up iterations",
            grouped(warmup_iterations(&facts.version)),
        ),
    ];
    if summary.failed_count > 0 {
        headline.push(fact("failed samples", grouped(summary.failed_count)));
    }
    headline
}

fn details(facts: &Facts) -> Vec<Fact> {
    let version = &facts.version;
    let parameters = version.parameters.clone().unwrap_or_default();
    let schedule = parameters.schedule.unwrap_or_default();
    let start = schedule.initial_effective_fraction.unwrap_or_default();
    vec![
        fact("Version", &version.id),
        fact("Source", &version.source),
        fact("Model", &version.model),
        fact(
            "Features",
            format!("{} per sample", facts.summary.dimension),
        ),
        fact(
            "Clusters",
            format!("{}, {}", facts.summary.clusters.len(), method(version)),
        ),
        fact("Start", format!("effective fraction {start}")),
        fact("Seed", parameters.seed),
    ]
}

fn effective_fraction(curve: &[v1::ScheduleEntry]) -> Chart {
    let value = |entry: &v1::ScheduleEntry| Value {
        x: entry.iteration as f64,
        y: entry.effective_fraction,
        hover: format!(
            "iteration {}: effective fraction {:.4}, target {:.4}, temperature {} ({})",
            grouped(entry.iteration),
            entry.effective_fraction,
            entry.target,
            temperature(entry.temperature),
            status_name(entry.status())
        ),
        chosen: false,
    };
    let frame = Frame {
        description: "Effective fraction over iterations",
        x_title: "iteration",
        y_title: "effective fraction",
        y: Axis::new(0.0, 0.7),
        rule: Some((CEILING, "ceiling 1 − 1/e")),
    };
    chart::curve(frame, curve.iter().map(value).collect())
}

/// `None` when the number of clusters was given.
fn davies_bouldin(summary: &v1::Summary) -> Option<Chart> {
    if summary.candidates.is_empty() {
        return None;
    }
    let value = |candidate: &v1::ClusterCandidate| Value {
        x: candidate.clusters.into(),
        y: candidate.davies_bouldin,
        hover: format!(
            "{} clusters: {:.4}",
            candidate.clusters, candidate.davies_bouldin
        ),
        chosen: candidate.clusters as usize == summary.clusters.len(),
    };
    let frame = Frame {
        description: "Davies–Bouldin index over the number of clusters",
        x_title: "clusters",
        y_title: "Davies–Bouldin index",
        y: Axis::around(summary.candidates.iter().map(|c| c.davies_bouldin)).padded(),
        rule: None,
    };
    Some(chart::curve(
        frame,
        summary.candidates.iter().map(value).collect(),
    ))
}

fn row(milestone: &Milestone) -> Row {
    let entry = &milestone.entry;
    Row {
        iteration: grouped(entry.iteration),
        temperature: temperature(entry.temperature),
        effective_fraction: format!("{:.4}", entry.effective_fraction),
        top_tenth: format!("{:.1} %", 100.0 * milestone.top_tenth),
        top_tenth_share: format!("{:.3}", milestone.top_tenth.clamp(0.0, 1.0)),
        status: status_name(entry.status()),
    }
}

fn cluster<'a>(
    i: usize,
    summary: &'a v1::ClusterSummary,
    samples: u64,
    images: &'a Images,
) -> Cluster<'a> {
    let side = |title, samples: &'a [v1::SampleSummary]| Side {
        title,
        samples: samples
            .iter()
            .take(images.per_side)
            .map(|s| sample(s, images))
            .collect(),
    };
    Cluster {
        number: i + 1,
        size: grouped(summary.size),
        share: format!(
            "{:.1} %",
            100.0 * summary.size as f64 / samples.max(1) as f64
        ),
        mean_distance: format!("{:.3}", summary.mean_distance),
        sides: [
            side("Prototypes", &summary.nearest),
            side("Hardest", &summary.farthest),
        ],
    }
}

fn sample<'a>(sample: &v1::SampleSummary, images: &'a Images) -> Sample<'a> {
    let found = images.get(sample.index);
    let image = found.and_then(|image| image.as_ref().ok());
    let reason = found.and_then(|image| image.as_ref().err());
    let reason = reason.map(|reason| clipped(reason, HOVER_CHARACTERS));
    let id = clipped(&sample.id, HOVER_CHARACTERS);
    let label = clipped(&sample.label, HOVER_CHARACTERS);
    let named = if label.is_empty() {
        String::new()
    } else {
        format!(", label {label}")
    };
    let failed = reason
        .as_ref()
        .map_or_else(String::new, |reason| format!("\n{reason}"));
    let caption = if label.is_empty() || image.is_none() {
        &id
    } else {
        &label
    };
    Sample {
        image,
        caption: clipped(caption, CAPTION_CHARACTERS),
        difficulty: format!("{:.3}", sample.difficulty),
        hover: format!(
            "{id}{named}\nindex {}, difficulty {:.4}{failed}",
            sample.index, sample.difficulty
        ),
        reason,
    }
}

#[cfg(test)]
mod tests;
