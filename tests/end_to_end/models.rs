//! Models by name: listed, pulled from a hub, looked into, and used.

use curriculum_tests::{
    Home, Outcome,
    command::curriculum_in,
    data,
    hub::{Fault, Hub},
};
use sha2::{Digest, Sha256};
use std::fs;

/// A model of 8×8 pixels, in place of the 87 MB that the name stands for.
fn export() -> Vec<u8> {
    fs::read("../crates/extractor/tests/data/tokens.onnx").unwrap()
}

fn hub() -> Hub {
    let digest = Sha256::digest(export());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Hub::start(export(), &digest)
}

async fn models(home: &Home, hub: &Hub, arguments: &str) -> Outcome {
    let cache = home.path("hf");
    let variables = [
        ("HF_ENDPOINT", hub.endpoint.as_str()),
        ("HF_HOME", cache.to_str().unwrap()),
        ("HF_HUB_CACHE", ""),
        ("HF_HUB_OFFLINE", ""),
        ("HF_TOKEN", "hf_end_to_end"),
    ];
    let arguments = format!("models {arguments}");
    curriculum_in(&home.path(""), &variables, arguments.split_whitespace()).await
}

#[tokio::test]
async fn a_model_is_listed_pulled_and_looked_into() {
    let (home, hub) = (Home::new(), hub());
    let place = async |name: &str| {
        let list = models(&home, &hub, "list --json").await.json();
        let found = list
            .as_array()
            .unwrap()
            .iter()
            .find(|model| model["name"] == name);
        found.unwrap()["where"].as_str().unwrap().to_owned()
    };
    assert_eq!(place("dino_fashion").await, "embedded");
    assert_eq!(place("dino_vits16").await, "not pulled");
    let inspected = models(&home, &hub, "inspect dino_vits16").await;
    inspected.refused("curriculum models pull dino_vits16");

    hub.state().token = Some("hf_end_to_end".to_owned());
    hub.state().faults.push_back(Fault::Cut(100));
    let pulled = models(&home, &hub, "pull dino_vits16").await;
    assert_eq!(pulled.code, Some(0), "{pulled:?}");
    assert!(pulled.stdout.contains("downloaded"), "{pulled:?}");
    assert!(pulled.stderr.contains("pull dino_vits16"), "{pulled:?}");
    assert_eq!(place("dino_vits16").await, "cached");

    let again = models(&home, &hub, "pull dino_vits16 --json").await.json();
    assert_eq!(again["outcome"], "up to date");
    assert_eq!(again["bytes"], export().len());
    let offline = models(&home, &hub, "pull dino_vits16 --offline --json")
        .await
        .json();
    assert_eq!(offline["sha256"], again["sha256"]);

    let graph = models(&home, &hub, "inspect dino_vits16 --json --all")
        .await
        .json();
    assert_eq!(graph["inputs"][0]["tensor"], "pixel_values");
    assert_eq!(graph["output"], "last_hidden_state");
    assert!(graph["tensors"].as_array().unwrap().len() > 1);

    let pin = home.path("hf/curriculum/dino_vits16/pin.toml");
    assert!(pin.is_file());
    fs::write(pin, "of another version").unwrap();
    assert_eq!(place("dino_vits16").await, "unreadable");
    assert_eq!(place("dino_vitb16").await, "not pulled");
}

#[tokio::test]
async fn what_cannot_be_pulled_is_refused() {
    let (home, hub) = (Home::new(), hub());
    models(&home, &hub, "pull dino_fashion")
        .await
        .refused("nothing to pull");
    models(&home, &hub, "pull dino_vits61")
        .await
        .refused("dino_vits16");
    models(&home, &hub, "pull dino_vits16 --offline")
        .await
        .refused("offline");
    hub.state().token = Some("another".to_owned());
    models(&home, &hub, "pull dino_vits16")
        .await
        .refused("no access");
    hub.state().token = None;
    hub.state().sha256 = Some("0".repeat(64));
    models(&home, &hub, "pull dino_vits16")
        .await
        .refused("checksum");
    hub.state().sha256 = None;
    assert_eq!(models(&home, &hub, "pull dino_vits16").await.code, Some(0));
    hub.state().sha256 = Some("0".repeat(64));
    models(&home, &hub, "pull dino_vits16")
        .await
        .refused("--refresh");
}

#[tokio::test]
async fn files_and_embedded_models_are_looked_into() {
    let (home, hub) = (Home::new(), hub());
    let graph = models(&home, &hub, "inspect dino_fashion --json")
        .await
        .json();
    let layers = graph["blocks"].as_array().unwrap().iter();
    let layers: Vec<_> = layers
        .map(|block| block["layer"].as_str().unwrap())
        .collect();
    assert_eq!(layers, ["block:0", "block:1", "block:2", "block:3"]);
    assert_eq!(graph["tokens"], "cls");
    let text = models(&home, &hub, "inspect dino_fashion").await.stdout;
    assert!(
        text.contains("block:3") && text.contains("digest"),
        "{text}"
    );

    // Without an entry a file is described all the same, with what is missing.
    fs::write(home.path("bare.onnx"), export()).unwrap();
    let graph = models(&home, &hub, "inspect bare.onnx --json").await.json();
    assert!(graph["unusable"].as_str().unwrap().contains("bare.toml"));
    assert!(
        models(&home, &hub, "inspect bare.onnx")
            .await
            .stdout
            .contains("bare.toml")
    );
    fs::write(home.path("broken.onnx"), "no graph").unwrap();
    models(&home, &hub, "inspect broken.onnx")
        .await
        .refused("cannot be read");
    models(&home, &hub, "inspect missing.onnx")
        .await
        .refused("missing.onnx");
}

#[tokio::test]
async fn a_model_that_was_not_pulled_is_named_by_those_who_need_it() {
    let home = Home::new();
    data::write_folder(&home.path("images"), &data::images(2));
    let cache = home.path("hf");
    let variables = [("HF_HOME", cache.to_str().unwrap()), ("HF_HUB_CACHE", "")];
    let arguments = "fit images --model dino_vits16 --out f.npz".split(' ');
    let fit = curriculum_in(&home.path(""), &variables, arguments).await;
    fit.refused("curriculum models pull dino_vits16");
}
