//! Images to features without a server.

use crate::fit::fit;
use curriculum_tests::{Home, command::curriculum_in, data};
use half::f16;
use ndarray::Array2;
use ndarray_npy::read_npy;
use serde_json::{Value, json};
use std::fs;

const SAMPLES: usize = 60;

/// A folder `images`, of which one is broken.
fn home() -> Home {
    let home = Home::new();
    let mut images = data::images(SAMPLES);
    images[7].bytes = b"not an image".to_vec();
    data::write_folder(&home.path("images"), &images);
    home
}

/// `curriculum extract images` in `home`; the JSON object.
async fn extract(home: &Home, flags: &str) -> Value {
    let arguments = format!("extract images {flags} --json --max-failed-fraction 0.1");
    let arguments = arguments.split_whitespace();
    let extracted = curriculum_in(&home.path(""), &[], arguments).await;
    assert_eq!(extracted.code, Some(0), "{extracted:?}");
    serde_json::from_str(extracted.stdout.lines().last().unwrap()).unwrap()
}

fn read(home: &Home, name: &str) -> Array2<f32> {
    read_npy(home.path(name)).unwrap()
}

#[tokio::test]
async fn features_and_ids_come_in_the_order_of_the_manifest() {
    let home = home();
    let said = extract(&home, "--out x.npy --bare-session").await;
    let features = read(&home, "x.npy");
    let dimension = features.ncols();
    let expected = json!({
        "samples": SAMPLES, "failed": 1, "dimension": dimension, "provider": "cpu",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&said[field], value, "{field}");
    }
    assert!(
        said["nodes_by_provider"]["CPUExecutionProvider"]
            .as_u64()
            .unwrap()
            > 10
    );
    for figure in ["images_per_second", "bare_images_per_second", "batch_size"] {
        assert!(said[figure].as_f64().unwrap() > 0.0, "{figure}: {said}");
    }
    assert_eq!(features.nrows(), SAMPLES);
    let lines = fs::read_to_string(home.path("x.ids.jsonl")).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<&str> = lines
        .iter()
        .map(|line| line["id"].as_str().unwrap())
        .collect();
    assert!(ids.is_sorted() && ids.len() == SAMPLES);
    for (index, (line, row)) in lines.iter().zip(features.rows()).enumerate() {
        assert_eq!(line["index"], index);
        let label = line["id"].as_str().unwrap().split('/').next();
        assert_eq!(line["label"].as_str(), label);
        let failed = line.get("error").is_some();
        assert!(row.iter().all(|x| x.is_finite() != failed), "{line}");
    }
}

#[tokio::test]
async fn neither_batches_nor_threads_change_a_bit_and_layers_do() {
    let home = home();
    extract(&home, "--out x.npy --batch-size 1 --threads 1").await;
    let bytes = fs::read(home.path("x.npy")).unwrap();
    for flags in ["--batch-size 7 --threads 2", "--batch-size 64"] {
        extract(&home, &format!("--out y.npy {flags}")).await;
        assert!(bytes == fs::read(home.path("y.npy")).unwrap(), "{flags}");
    }
    extract(&home, "--out half.npy --dtype f16").await;
    let whole = read(&home, "x.npy");
    let halves: Vec<u8> = whole
        .iter()
        .flat_map(|x| f16::from_f32(*x).to_le_bytes())
        .collect();
    let written = fs::read(home.path("half.npy")).unwrap();
    assert!(written[..64].windows(3).any(|three| three == b"<f2"));
    assert!(written.ends_with(&halves) && written.len() == halves.len() + 128);
    for (flags, widths) in [
        ("--layer block:1", 1),
        ("--layer block:1 --tokens cls+mean", 2),
    ] {
        extract(&home, &format!("--out z.npy {flags}")).await;
        let layer = read(&home, "z.npy");
        assert_eq!(layer.dim(), (SAMPLES, widths * whole.ncols()), "{flags}");
        assert_ne!(
            layer.row(0).as_slice().unwrap()[..4],
            whole.row(0).as_slice().unwrap()[..4]
        );
    }
}

#[tokio::test]
async fn fit_goes_on_from_the_features_as_from_the_images() {
    let home = Home::new();
    data::write_folder(&home.path("images"), &data::images(SAMPLES));
    extract(&home, "--out x.npy").await;
    fit(&home, "x.npy --out a.npz --clusters 4").await;
    fit(&home, "images --out b.npz --clusters 4").await;
    let bytes = |name| fs::read(home.path(name)).unwrap();
    assert!(bytes("a.npz") == bytes("b.npz"));
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_its_name_and_leaves_nothing() {
    let home = home();
    for (flags, words) in [
        ("images --out x.npy", "max-failed-fraction"),
        (
            "images --out x.npy --max-failed-fraction 2",
            "max-failed-fraction",
        ),
        ("images --out x.bin", ".npy"),
        ("images --out no/x.npy", "no/x.npy"),
        ("nowhere --out x.npy", "nowhere"),
        ("images --out x.npy --model other", "other"),
        (
            "images --out x.npy --model dino_vits16",
            "models pull dino_vits16",
        ),
        ("images --out x.npy --layer block:4", "block:0 to block:3"),
        ("images --out x.npy --layer nothing", "nothing"),
        ("images --out x.npy --tokens all", "all"),
        ("images --out x.npy --execution-provider cuda", "cuda"),
        (
            "images --out x.npy --execution-provider tensorrt",
            "tensorrt",
        ),
        (
            "images --out x.npy --execution-provider cuda --device-id 0,0",
            "twice",
        ),
        ("images --out x.npy --batch-size 5000", "batch_size"),
    ] {
        let arguments = format!("extract {flags}");
        let cache = home.path("cache").display().to_string();
        let variables = [("HF_HOME", cache.as_str())];
        let refused = curriculum_in(&home.path(""), &variables, arguments.split_whitespace()).await;
        assert_eq!(refused.code, Some(2), "{flags}: {refused:?}");
        assert!(refused.stderr.contains(words), "{flags}: {refused:?}");
        for name in ["x.npy", "x.ids.jsonl"] {
            assert!(!home.path(name).exists(), "{flags}");
        }
    }
}
