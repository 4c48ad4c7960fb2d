use super::*;
use std::path::Path;

const HOSTILE: &str = "\"><script>alert('x')</script><img src=x onerror=alert(1)>";

fn facts(id: &str, label: &str, clusters: usize) -> Facts {
    let sample = v1::SampleSummary {
        index: 0,
        id: id.to_owned(),
        label: label.to_owned(),
        difficulty: 0.25,
    };
    let cluster = v1::ClusterSummary {
        size: 1,
        mean_distance: 0.5,
        nearest: vec![sample.clone()],
        farthest: vec![sample],
        label: String::new(),
    };
    Facts {
        curriculum: label.to_owned(),
        version: v1::Version {
            id: id.to_owned(),
            source: id.to_owned(),
            model: label.to_owned(),
            ..Default::default()
        },
        extractor: None,
        summary: v1::Summary {
            sample_count: clusters as u64,
            histogram: vec![1; clusters],
            clusters: vec![cluster; clusters],
            ..Default::default()
        },
        curve: Vec::new(),
        milestones: Vec::new(),
    }
}

fn rendered(facts: &Facts, source: &Path) -> String {
    render(facts, &Images::read(source, &facts.summary)).unwrap()
}

#[test]
fn hostile_texts_stay_texts() {
    let html = rendered(&facts(HOSTILE, HOSTILE, 1), Path::new(HOSTILE));
    for tag in ["<script", "<img", "onerror=alert(1)>"] {
        assert!(!html.contains(tag), "{tag}");
    }
    assert!(html.contains("&#60;script&#62;"));
}

#[test]
fn needs_no_network() {
    let html = rendered(&facts("a", "b", 2), Path::new("none"));
    for reference in ["http:", "https:", "<link", "<script", "url(", "@import"] {
        assert!(!html.contains(reference), "{reference}");
    }
}

#[test]
fn an_empty_summary_is_a_page_too() {
    let html = rendered(&facts("", "", 0), Path::new("none"));
    assert!(html.contains("</html>") && !html.contains("NaN"));
}

#[test]
fn without_images_the_ids_are_shown_and_why() {
    let html = rendered(&facts("class/a.png", "class", 1), Path::new("none"));
    assert!(html.contains("Shown without images: none: no such file or object."));
    assert!(html.contains("class/a.png") && !html.contains("data:image"));
}

#[test]
fn a_broken_image_shows_its_id_and_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("class")).unwrap();
    std::fs::write(folder.path().join("class/a.png"), b"not an image").unwrap();
    let html = rendered(&facts("class/a.png", "class", 1), folder.path());
    assert!(html.contains("class/a.png") && !html.contains("data:image"));
    let reason = "format";
    assert!(html.contains(reason), "{html}");
}

#[test]
fn infinite_temperatures_and_uniform_draws_are_written() {
    let entry = v1::ScheduleEntry {
        iteration: 1500,
        temperature: f64::INFINITY,
        effective_fraction: 0.632,
        target: 0.632,
        phase: v1::Phase::Uniform.into(),
        status: v1::SolverStatus::Uniform.into(),
    };
    let mut facts = facts("a", "b", 1);
    facts.milestones = vec![Milestone {
        entry,
        top_tenth: 0.1,
    }];
    facts.curve = vec![entry];
    let html = rendered(&facts, Path::new("none"));
    assert!(html.contains("∞") && html.contains("10.0 %") && html.contains("uniform"));
}

#[test]
fn the_ceiling_is_one_minus_one_over_e() {
    assert!((CEILING - (1.0 - (-1f64).exp())).abs() < 1e-15);
}
