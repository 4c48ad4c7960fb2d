//! Features from inside a graph, and the pooling of tokens, through ONNX Runtime.

#![expect(clippy::unwrap_used, reason = "a test stops where its set-up fails")]

use std::fs;
use std::path::Path;

use curriculum_extractor::{DEFAULT_MODEL, Extractor, Layer, Model, Options, Tokens};
use prost::Message;

/// Of the embedded model.
const WIDTH: usize = 128;
const DEPTH: usize = 4;

/// ONNX's messages, as far as the weights of a normalisation need them.
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "5")]
    weights: Vec<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes, tag = "9")]
    raw: Vec<u8>,
}

fn data(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn embedded() -> Model {
    Model::embedded(DEFAULT_MODEL).unwrap()
}

fn features(model: &Model) -> Vec<f32> {
    let images = ["fashion_0.png", "fashion_1.png"]
        .map(|name| fs::read(data("tests/data").join(name)).unwrap());
    let mut extractor = Extractor::open(model, &Options::default()).unwrap();
    let mut features = vec![f32::NAN; images.len() * extractor.dimension()];
    assert!(
        extractor
            .extract(&images, &mut features)
            .unwrap()
            .is_empty()
    );
    features
}

fn weights(name: &str) -> Vec<f32> {
    let file = fs::read(data("models/dino_fashion.onnx")).unwrap();
    let weights = File::decode(file.as_slice())
        .unwrap()
        .graph
        .unwrap()
        .weights;
    let found = weights
        .into_iter()
        .find(|tensor| tensor.name == name)
        .unwrap();
    let (values, _) = found.raw.as_chunks();
    values
        .iter()
        .map(|value| f32::from_le_bytes(*value))
        .collect()
}

/// LayerNorm in f64, by its definition.
fn normalised(row: &[f32], scale: &[f32], shift: &[f32]) -> Vec<f64> {
    let count = row.len() as f64;
    let mean = row.iter().copied().map(f64::from).sum::<f64>() / count;
    let squares = row.iter().map(|value| (f64::from(*value) - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count + EPSILON).sqrt();
    let weights = scale.iter().zip(shift);
    row.iter()
        .zip(weights)
        .map(|(value, (scale, shift))| {
            (f64::from(*value) - mean) / deviation * f64::from(*scale) + f64::from(*shift)
        })
        .collect()
}

const EPSILON: f64 = 1e-5;

#[test]
fn the_last_block_normalised_is_the_models_output() {
    let last = embedded().with_layer(&Layer::Block(DEPTH - 1)).unwrap();
    let (scale, shift) = (weights("norm.weight"), weights("norm.bias"));
    let rows = features(&last);
    let rows = rows
        .chunks(WIDTH)
        .flat_map(|row| normalised(row, &scale, &shift));
    let outputs = features(&embedded());
    for (ours, output) in rows.zip(&outputs) {
        assert!((ours - f64::from(*output)).abs() < 1e-4, "{ours} {output}");
    }
}

#[test]
fn every_block_has_features_of_its_own() {
    let mut all = vec![(embedded().digest(), features(&embedded()))];
    for block in 0..DEPTH {
        let model = embedded().with_layer(&Layer::Block(block)).unwrap();
        let by_name = Layer::Tensor(model.entry().output.clone());
        assert_eq!(
            embedded().with_layer(&by_name).unwrap().digest(),
            model.digest()
        );
        let features = features(&model);
        assert_eq!(features.len(), 2 * WIDTH);
        for (digest, other) in &all {
            assert!(
                *digest != model.digest() && *other != features,
                "block:{block}"
            );
        }
        all.push((model.digest(), features));
    }
}

#[test]
fn tokens_pool_as_the_model_is_told() {
    let model = |tokens| {
        let block = embedded().with_layer(&Layer::Block(2)).unwrap();
        block.with_tokens(tokens).unwrap()
    };
    let [class, mean, both] =
        [Tokens::Class, Tokens::Mean, Tokens::ClassAndMean].map(|tokens| features(&model(tokens)));
    assert_ne!(class, mean);
    for (image, both) in both.chunks(2 * WIDTH).enumerate() {
        let row = image * WIDTH..(image + 1) * WIDTH;
        assert_eq!(both, [&class[row.clone()], &mean[row]].concat());
    }
}
