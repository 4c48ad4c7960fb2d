//! `curriculum inspect`

mod drift;

use crate::{
    client::ServerArgs,
    parameters::{feature_normalization_name, normalization_name, pacing_name, score_name},
    report::{self, Facts, ImageSource, clipped, method, temperature},
    table::{chart, curve, grouped, number, print, table},
    weights::status_name,
};
use anyhow::Context;
use comfy_table::Table;
use curriculum_proto::v1;
use serde_json::json;
use std::path::PathBuf;

/// Samples named per cluster and side, and the longest name.
const NAMED: usize = 3;
const NAME_CHARACTERS: usize = 24;

/// Digits of a version that tell it from others.
const SHORT: usize = 12;

/// A warning names samples and classes; `--json` has all of it.
const WARNING_CHARACTERS: usize = 400;

/// Describe a curriculum: clusters, difficulties, prototypes; without a name, list the curricula.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of the curriculum; NAME@ALIAS and NAME@VERSION name one of its versions.
    name: Option<String>,
    /// Version to describe [default: the newest].
    #[arg(
        long = "pin",
        visible_alias = "version",
        value_name = "VERSION",
        requires = "name"
    )]
    version: Option<String>,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Write a report with pictures of the samples there: one file, readable without a network.
    #[arg(long, value_name = "FILE", requires = "name")]
    html: Option<PathBuf>,
    /// Where the samples are on this machine [default: where the job found them].
    #[arg(long, value_name = "SOURCE", requires = "html")]
    images: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut client = args.server.curricula().await?;
    let Some(name) = args.name else {
        let answer = client
            .list_curricula(v1::ListCurriculaRequest {})
            .await?
            .into_inner();
        list(&answer.curricula, args.json);
        return Ok(());
    };
    let version = args.version.unwrap_or_default();
    let request = v1::GetCurriculumRequest {
        curriculum: name,
        version,
    };
    let Some(path) = args.html else {
        let curriculum = request.curriculum.clone();
        let answer = client.get_curriculum(request).await?.into_inner();
        let version = answer.version.context("the server sent no version")?;
        describe(&curriculum, &version, answer.extractor.as_ref(), args.json);
        return Ok(());
    };
    let facts = report::collect(&mut client, request).await?;
    let (curriculum, version) = (facts.curriculum.clone(), facts.version.clone());
    let extractor = facts.extractor.clone();
    let images = args.images.map_or(ImageSource::Version, ImageSource::Given);
    report::write(facts, images, &path).await?;
    describe(&curriculum, &version, extractor.as_ref(), args.json);
    if !args.json {
        print(format_args!("\nreport written to {}", path.display()));
    }
    Ok(())
}

/// What the schedule does to the draws, at a few iterations.
pub(crate) fn milestones(facts: &Facts) -> Table {
    let mut table = table([
        "iteration",
        "temperature",
        "effective fraction",
        "draws from easiest tenth",
        "solver",
    ]);
    for milestone in &facts.milestones {
        let entry = &milestone.entry;
        table.add_row([
            number(grouped(entry.iteration)),
            number(temperature(entry.temperature)),
            number(format!("{:.4}", entry.effective_fraction)),
            number(format!("{:.1} %", 100.0 * milestone.top_tenth)),
            status_name(entry.status()).into(),
        ]);
    }
    table
}

fn list(curricula: &[v1::Curriculum], json: bool) {
    if json {
        let entry = |c: &v1::Curriculum| {
            let aliases = c.aliases.iter();
            let aliases: serde_json::Map<_, _> = aliases
                .map(|alias| (alias.name.clone(), alias.version.clone().into()))
                .collect();
            json!({"name": c.name, "versions": c.versions, "aliases": aliases})
        };
        print(serde_json::Value::Array(
            curricula.iter().map(entry).collect(),
        ));
        return;
    }
    let mut table = table(["curriculum", "versions", "aliases", "newest"]);
    for curriculum in curricula {
        let newest = curriculum.versions.first().map_or("-", String::as_str);
        table.add_row([
            curriculum.name.as_str().into(),
            number(curriculum.versions.len()),
            aliases(curriculum).into(),
            newest.into(),
        ]);
    }
    print(table);
}

/// Each alias with the beginning of its version.
fn aliases(curriculum: &v1::Curriculum) -> String {
    let aliases = curriculum.aliases.iter();
    let aliases: Vec<_> = aliases
        .map(|alias| format!("{} {}", alias.name, clipped(&alias.version, SHORT)))
        .collect();
    aliases.join("\n")
}

fn describe(
    curriculum: &str,
    version: &v1::Version,
    extractor: Option<&v1::Extractor>,
    json: bool,
) {
    let summary = version.summary.clone().unwrap_or_default();
    if json {
        let mut object = as_json(curriculum, version, &summary);
        object["extractor"] = extractor.map(extractor_json).into();
        print(object);
        return;
    }
    print(overview(curriculum, version, &summary));
    if let Some(extractor) = extractor {
        print(format_args!("extractor now   {}", live(extractor)));
    }
    print(format_args!("\nclusters\n{}", clusters(&summary)));
    print(format_args!("\ndifficulty\n{}", chart(&summary.histogram)));
    if !summary.candidates.is_empty() {
        print(format_args!(
            "\nnumbers of clusters tried\n{}",
            candidates(&summary)
        ));
    }
    if let Some(drift) = &summary.drift {
        print(format_args!("\n{}", drift::table(drift)));
    }
    for warning in &summary.warnings {
        print(format_args!(
            "\nwarning: {}",
            clipped(warning, WARNING_CHARACTERS)
        ));
    }
}

fn overview(curriculum: &str, version: &v1::Version, summary: &v1::Summary) -> String {
    let parameters = version.parameters.clone().unwrap_or_default();
    let schedule = parameters.schedule.unwrap_or_default();
    let index = summary
        .davies_bouldin
        .map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    let source = clipped(&version.source, usize::MAX);
    [
        format!("curriculum      {curriculum}"),
        format!("version         {}", version.id),
        format!("source          {source}"),
        format!("model           {}", version.model),
        format!("samples         {}", grouped(summary.sample_count)),
        format!("failed          {}", grouped(summary.failed_count)),
        format!("dimension       {}", summary.dimension),
        format!(
            "clusters        {} ({})",
            summary.clusters.len(),
            method(version)
        ),
        format!("Davies–Bouldin  {index}"),
        format!("difficulty      {}", difficulty(&parameters)),
        format!(
            "warm-up         {} iterations, {}",
            grouped(schedule.warmup_iterations.unwrap_or_default()),
            pacing_name(schedule.pacing())
        ),
        format!("effective       {}", fractions(&schedule)),
        format!("seed            {}", parameters.seed),
    ]
    .join("\n")
}

/// Model, execution provider, devices and nodes, of the server and not of the version.
fn live(extractor: &v1::Extractor) -> String {
    let devices = extractor.device_ids.iter();
    let devices: String = devices.map(|id| format!(" {id}")).collect();
    let nodes = extractor.nodes_by_provider.iter();
    let nodes: Vec<_> = nodes
        .map(|(name, count)| format!("{count} nodes on {name}"))
        .collect();
    format!(
        "{} on {}{devices}, {}",
        extractor.model,
        extractor.execution_provider,
        nodes.join(", ")
    )
}

fn extractor_json(extractor: &v1::Extractor) -> serde_json::Value {
    json!({
        "model": extractor.model,
        "execution_provider": extractor.execution_provider,
        "device_ids": extractor.device_ids,
        "nodes_by_provider": extractor.nodes_by_provider,
    })
}

/// How difficulties came about.
fn difficulty(parameters: &v1::Parameters) -> String {
    let scope = match parameters.by_label {
        true => "by label".to_owned(),
        false => format!(
            "clusters of {} or more",
            parameters.min_cluster_size.unwrap_or_default()
        ),
    };
    let features = match parameters.feature_normalization() {
        v1::FeatureNormalization::None => ", features as they are",
        v1::FeatureNormalization::Unspecified | v1::FeatureNormalization::Standard => "",
    };
    format!(
        "{}, {}, {scope}{features}",
        score_name(parameters.score()),
        normalization_name(parameters.normalization())
    )
}

/// Effective fractions, draws, and bounds on the temperature.
fn fractions(schedule: &v1::Schedule) -> String {
    let mut text = format!(
        "fraction from {} to {:.6} of {} draws",
        schedule.initial_effective_fraction.unwrap_or_default(),
        schedule.max_effective_fraction.unwrap_or_default(),
        grouped(schedule.draws.unwrap_or_default())
    );
    if let Some(min) = schedule.min_temperature {
        text += &format!(", temperature at least {min}");
    }
    if let Some(max) = schedule.max_temperature {
        text += &format!(", temperature at most {max}");
    }
    text
}

fn clusters(summary: &v1::Summary) -> Table {
    let mut table = table(["cluster", "size", "mean distance", "nearest", "farthest"]);
    for (i, cluster) in summary.clusters.iter().enumerate() {
        let name = match cluster.label.as_str() {
            "" => number(i + 1),
            label => number(format!("{} ({})", i + 1, clipped(label, NAME_CHARACTERS))),
        };
        table.add_row([
            name,
            number(grouped(cluster.size)),
            number(format!("{:.3}", cluster.mean_distance)),
            names(&cluster.nearest).into(),
            names(&cluster.farthest).into(),
        ]);
    }
    table
}

fn names(samples: &[v1::SampleSummary]) -> String {
    let name = |sample: &v1::SampleSummary| {
        let id = clipped(&sample.id, NAME_CHARACTERS);
        match sample.label.as_str() {
            "" => id,
            label => format!("{id} ({})", clipped(label, NAME_CHARACTERS)),
        }
    };
    samples
        .iter()
        .take(NAMED)
        .map(name)
        .collect::<Vec<_>>()
        .join("\n")
}

fn candidates(summary: &v1::Summary) -> Table {
    let candidates = summary.candidates.iter();
    let tried: Vec<(usize, f64)> = candidates
        .map(|candidate| (candidate.clusters as usize, candidate.davies_bouldin))
        .collect();
    curve(&tried, summary.clusters.len())
}

fn as_json(curriculum: &str, version: &v1::Version, summary: &v1::Summary) -> serde_json::Value {
    let parameters = version.parameters.clone().unwrap_or_default();
    let schedule = parameters.schedule.unwrap_or_default();
    let samples = |samples: &[v1::SampleSummary]| -> serde_json::Value {
        let sample = |s: &v1::SampleSummary| json!({"index": s.index, "id": s.id, "label": s.label, "difficulty": s.difficulty});
        samples.iter().map(sample).collect()
    };
    let cluster = |c: &v1::ClusterSummary| {
        json!({
            "size": c.size,
            "label": c.label,
            "mean_distance": c.mean_distance,
            "nearest": samples(&c.nearest),
            "farthest": samples(&c.farthest),
        })
    };
    let candidate = |c: &v1::ClusterCandidate| json!({"clusters": c.clusters, "davies_bouldin": c.davies_bouldin});
    json!({
        "curriculum": curriculum,
        "version": version.id,
        "source": version.source,
        "model": version.model,
        "model_digest": version.model_digest,
        "created_at_ms": version.created_at_ms,
        "seed": parameters.seed,
        "by_label": parameters.by_label,
        "min_cluster_size": parameters.min_cluster_size,
        "normalization": normalization_name(parameters.normalization()),
        "score": score_name(parameters.score()),
        "feature_normalization": feature_normalization_name(parameters.feature_normalization()),
        "initial_effective_fraction": schedule.initial_effective_fraction,
        "warmup_iterations": schedule.warmup_iterations,
        "pacing": pacing_name(schedule.pacing()),
        "min_temperature": schedule.min_temperature,
        "max_temperature": schedule.max_temperature,
        "max_effective_fraction": schedule.max_effective_fraction,
        "draws": schedule.draws,
        "samples": summary.sample_count,
        "failed": summary.failed_count,
        "dimension": summary.dimension,
        "inertia": summary.inertia,
        "davies_bouldin": summary.davies_bouldin,
        "histogram": summary.histogram,
        "clusters": summary.clusters.iter().map(cluster).collect::<Vec<_>>(),
        "candidates": summary.candidates.iter().map(candidate).collect::<Vec<_>>(),
        "warnings": summary.warnings,
        "drift": summary.drift.as_ref().map(drift::as_json),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extractor_on_gpus_names_them() {
        let extractor = v1::Extractor {
            model: "vit".to_owned(),
            execution_provider: "cuda".to_owned(),
            device_ids: vec![0, 2],
            nodes_by_provider: [("CPU", 3), ("CUDA", 90)]
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
        };
        assert_eq!(
            live(&extractor),
            "vit on cuda 0 2, 3 nodes on CPU, 90 nodes on CUDA"
        );
    }

    #[test]
    fn names_are_safe_on_a_terminal() {
        let sample = v1::SampleSummary {
            id: "\u{1b}[31mred".to_owned(),
            label: "a\nb".to_owned(),
            ..Default::default()
        };
        assert_eq!(names(&[sample]), "\u{fffd}[31mred (a\u{fffd}b)");
    }
}
