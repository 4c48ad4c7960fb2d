//! Extraction through ONNX Runtime, with the fixtures that `data/models.py` makes.

#![expect(clippy::unwrap_used, reason = "a test stops where its set-up fails")]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Duration;

use curriculum_extractor::{
    DEFAULT_MODEL, ExecutionProvider, Extractor, ExtractorError, ImageError, Layout, Model,
    Options, Preprocessor, Scratch,
};
use half::f16;
use image::{ImageFormat, Rgb, RgbImage};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn model(name: &str) -> Model {
    Model::from_file(&fixture(&format!("{name}.onnx"))).unwrap()
}

fn options(batch_size: usize, threads: usize) -> Options {
    Options {
        intra_threads: Some(threads),
        batch_size: Some(batch_size),
        ..Options::default()
    }
}

fn open(name: &str) -> Extractor {
    Extractor::open(&model(name), &Options::default()).unwrap()
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Pictures of different sizes and contents.
fn pictures(count: u32) -> Vec<Vec<u8>> {
    let picture = |seed: u32| {
        RgbImage::from_fn(8 + seed % 5, 8 + seed % 3, |x, y| {
            Rgb([x * 31 + seed, y * 17 + seed * 7, x * y + seed * 3].map(|value| value as u8))
        })
    };
    (0..count).map(|seed| png(&picture(seed))).collect()
}

fn extract(extractor: &mut Extractor, images: &[Vec<u8>]) -> Vec<f32> {
    let mut features = vec![f32::NAN; images.len() * extractor.dimension()];
    let failures = extractor.extract(images, &mut features).unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    features
}

/// The pixels of a grey image after the fixtures' normalisation.
fn normalised_grey(value: u8) -> [f32; 3] {
    let value = f32::from(value) / 255.0;
    [
        (value - 0.485) / 0.229,
        (value - 0.456) / 0.224,
        (value - 0.406) / 0.225,
    ]
}

#[test]
fn every_rank_of_output_gives_one_row_per_image() {
    for name in ["linear", "tokens", "spatial", "fixed_batch"] {
        let mut extractor = open(name);
        assert_eq!(extractor.dimension(), 4, "{name}");
        let features = extract(&mut extractor, &pictures(5));
        assert!(
            features
                .iter()
                .all(|feature| feature.is_finite() && *feature != 0.0),
            "{name}"
        );
        assert!(features[..4] != features[4..8], "{name}");
    }
}

/// Largest difference to Python's features, which are near 1 in size.
struct Tolerance;

impl Tolerance {
    /// The same pixels; kernels of another processor or version of ONNX Runtime round differently.
    const SAME_PIXELS: f32 = 1e-3;
    /// A resize, in which single pixels may be one of 255 steps away.
    const RESIZED: f32 = 0.05;
}

#[test]
fn the_embedded_model_agrees_with_python() {
    let mut extractor = Extractor::open(
        &Model::embedded(DEFAULT_MODEL).unwrap(),
        &Options::default(),
    )
    .unwrap();
    let names = ["fashion_0.png", "fashion_1.png", "colour.png"];
    let features = extract(
        &mut extractor,
        &names.map(|name| fs::read(fixture(name)).unwrap()),
    );
    let reference = fs::read(fixture("features.f32")).unwrap();
    let reference = reference
        .as_chunks()
        .0
        .iter()
        .map(|value| f32::from_le_bytes(*value));
    let differences: Vec<f32> = features
        .iter()
        .zip(reference)
        .map(|(a, b)| (a - b).abs())
        .collect();
    assert_eq!(differences.len(), features.len());

    let tolerances = [
        Tolerance::SAME_PIXELS,
        Tolerance::SAME_PIXELS,
        Tolerance::RESIZED,
    ];
    let rows = differences
        .chunks(extractor.dimension())
        .zip(tolerances)
        .zip(names);
    for ((row, tolerance), name) in rows {
        let worst = row.iter().copied().fold(0.0, f32::max);
        println!("{name}: {worst}");
        assert!(
            worst <= tolerance,
            "{name} is off by {worst}; a new model needs data/features.py run again"
        );
    }
}

#[test]
fn the_class_token_is_the_first_of_the_tokens() {
    // The fixture's class token is the maximum over the patches, and of one colour all are equal:
    // it is then their mean too, which is what `spatial` gives from the same weights.
    let grey = [png(&RgbImage::from_pixel(8, 8, Rgb([90; 3])))];
    let token = extract(&mut open("tokens"), &grey);
    let mean = extract(&mut open("spatial"), &grey);
    let edges = [png(&RgbImage::from_fn(8, 8, |x, _| {
        Rgb([if x < 4 { 0 } else { 255 }; 3])
    }))];
    let (largest, average) = (
        extract(&mut open("tokens"), &edges),
        extract(&mut open("spatial"), &edges),
    );
    for dimension in 0..4 {
        assert!((token[dimension] - mean[dimension]).abs() < 1e-5);
        assert!(largest[dimension] > average[dimension] + 0.1);
    }
}

#[test]
fn features_follow_the_pixels() {
    // linear.onnx is linear: grey images a, b, c in arithmetic progression have features in one too.
    let grey = [10, 110, 210].map(|value| png(&RgbImage::from_pixel(20, 9, Rgb([value; 3]))));
    let features = extract(&mut open("linear"), &grey);
    let [low, middle, high] = [0, 4, 8].map(|row| &features[row..row + 4]);
    for dimension in 0..4 {
        let expected = (low[dimension] + high[dimension]) / 2.0;
        assert!((middle[dimension] - expected).abs() < 1e-4, "{middle:?}");
    }
    assert!(normalised_grey(10)[0] < 0.0 && low != high);
}

fn assert_independent_of_batch_and_threads(model: &Model, images: &[Vec<u8>]) {
    let reference = extract(&mut Extractor::open(model, &options(1, 1)).unwrap(), images);
    for (batch, threads) in [(1, 2), (2, 1), (7, 1), (7, 2), (64, 1), (64, 2), (64, 3)] {
        let features = extract(
            &mut Extractor::open(model, &options(batch, threads)).unwrap(),
            images,
        );
        let same = features
            .iter()
            .zip(&reference)
            .all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "batch {batch}, {threads} threads");
    }
}

#[test]
fn features_depend_on_the_image_only() {
    let images = pictures(70);
    for name in ["linear", "tokens", "spatial", "fixed_batch"] {
        assert_independent_of_batch_and_threads(&model(name), &images);
    }
    assert_independent_of_batch_and_threads(&Model::embedded(DEFAULT_MODEL).unwrap(), &images);
}

#[test]
fn broken_images_fail_alone() {
    let mut images = pictures(9);
    images[3] = b"no image".to_vec();
    images[8].truncate(60);
    for name in ["linear", "fixed_batch"] {
        let mut extractor = Extractor::open(&model(name), &options(2, 1)).unwrap();
        let mut features = vec![f32::NAN; 9 * 4];
        let failures = extractor.extract(&images, &mut features).unwrap();
        let positions: Vec<_> = failures.iter().map(|failure| failure.position).collect();
        assert_eq!(positions, [3, 8]);
        assert_eq!(failures[0].reason, ImageError::UnknownFormat.to_string());
        assert!(failures[1].reason.starts_with("cannot be decoded"));

        let whole = extract(&mut extractor, &pictures(9));
        for (position, (row, whole)) in features.chunks(4).zip(whole.chunks(4)).enumerate() {
            let expected = if positions.contains(&position) {
                &[0.0; 4]
            } else {
                whole
            };
            assert_eq!(row, expected, "{position}");
        }
    }
}

#[test]
fn a_graph_in_f16_with_channels_last_follows_the_one_in_f32() {
    let images = pictures(9);
    let whole = extract(&mut open("linear"), &images);
    for batch in [2, 9] {
        let mut half = Extractor::open(&model("half"), &options(batch, 1)).unwrap();
        let half = extract(&mut half, &images);
        // Sums of 192 products, each rounded to 11 bits.
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 0.1;
        assert!(whole.iter().zip(&half).all(close), "{half:?}");
        assert_ne!(whole, half);
    }
}

#[test]
fn features_that_are_not_finite_are_failures() {
    // The fixture multiplies by the exponential of the pixels' sum.
    let images = [0_u8, 255].map(|value| png(&RgbImage::from_pixel(8, 8, Rgb([value; 3]))));
    let mut features = [f32::NAN; 8];
    let failures = open("overflow").extract(&images, &mut features).unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].position, 1);
    assert_eq!(failures[0].reason, ImageError::NotFinite.to_string());
    assert_eq!(features[4..], [0.0; 4]);
}

/// What the model's preprocessing makes of an image, as a `.npy` file of f32 and one of f16.
fn tensors(model: &Model, image: &[u8]) -> [Vec<u8>; 2] {
    let mut entry = model.entry().clone();
    entry.layout = Layout::Nchw;
    let preprocessor = Preprocessor::new(&entry);
    let mut values = vec![0.0; preprocessor.len()];
    preprocessor
        .run(image, &mut Scratch::default(), &mut values)
        .unwrap();
    let side = entry.preprocessing.crop as usize;
    let file =
        |descr, data: Vec<u8>| [curriculum_npy::header(descr, &[3, side, side]), data].concat();
    let halves = values.iter().map(|value| f16::from_f32(*value));
    [
        file(
            "<f4",
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        ),
        file("<f2", halves.flat_map(f16::to_le_bytes).collect()),
    ]
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn a_tensor_has_the_features_of_the_image_that_preprocessing_made_it_of() {
    let images = pictures(9);
    for model in [
        Model::embedded(DEFAULT_MODEL).unwrap(),
        model("half"),
        model("fixed_batch"),
    ] {
        let mut extractor = Extractor::open(&model, &options(4, 1)).unwrap();
        let whole = extract(&mut extractor, &images);
        let files: Vec<[Vec<u8>; 2]> = images.iter().map(|image| tensors(&model, image)).collect();
        let [singles, halves] = [0, 1].map(|dtype| {
            let files: Vec<Vec<u8>> = files.iter().map(|files| files[dtype].clone()).collect();
            extract(&mut extractor, &files)
        });
        assert_eq!(singles, whole, "{}", model.entry().name);
        let dimension = extractor.dimension();
        for (half, whole) in halves.chunks(dimension).zip(whole.chunks(dimension)) {
            let cosine = cosine(half, whole);
            assert!(cosine > 0.9999, "{}: {cosine}", model.entry().name);
        }
    }
}

#[test]
fn tensors_that_do_not_fit_the_model_fail_alone() {
    let model = model("linear");
    let [good, _] = tensors(&model, &pictures(1)[0]);
    let data = &good[128..];
    let file =
        |shape: &[usize], data: &[u8]| [&curriculum_npy::header("<f4", shape), data].concat();
    let not_finite = [&good[..132], &f32::NAN.to_le_bytes()[..], &good[136..]].concat();
    let files = [
        good.clone(),
        file(&[8, 8, 3], data),
        file(&[1, 3, 8, 8], data),
        not_finite,
        good[..good.len() - 1].to_vec(),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}".to_vec(),
    ];
    let mut extractor = Extractor::open(&model, &options(2, 1)).unwrap();
    let mut features = vec![f32::NAN; files.len() * 4];
    let failures = extractor.extract(&files, &mut features).unwrap();
    let reasons = [
        "the shape is (8, 8, 3), expected (3, 8, 8)",
        "the shape is (1, 3, 8, 8), expected (3, 8, 8)",
        "not a finite number",
        "truncated: 895 bytes, 896 expected for the shape (3, 8, 8)",
        "a header of 4294967295 bytes; the limit is 10000",
    ];
    assert_eq!(failures.len(), reasons.len(), "{failures:?}");
    for ((failure, reason), position) in failures.iter().zip(reasons).zip(1..) {
        assert_eq!(failure.position, position);
        assert!(failure.reason.contains(reason), "{}", failure.reason);
        assert!(failure.reason.starts_with("not the input of this model: "));
    }
    assert_eq!(features[..4], extract(&mut extractor, &pictures(1)));
}

#[test]
fn the_callers_slice_must_hold_one_row_per_image() {
    let error = open("linear")
        .extract(&pictures(2), &mut [0.0; 7])
        .unwrap_err();
    assert!(
        matches!(
            error,
            ExtractorError::FeaturesLength {
                expected: 8,
                actual: 7
            }
        ),
        "{error}"
    );
    let none: [Vec<u8>; 0] = [];
    assert!(open("linear").extract(&none, &mut []).unwrap().is_empty());
}

#[test]
fn graphs_that_do_not_fit_their_entry_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let graph = fs::read(fixture("linear.onnx")).unwrap();
    let entry = fs::read_to_string(fixture("linear.toml")).unwrap();
    for (graph, edit, word) in [
        (graph.as_slice(), ("pixel_values", "pixels"), "pixel_values"),
        (&graph, ("\"features\"", "\"class_token\""), "class_token"),
        (&graph, ("crop = 8", "crop = 7"), "(batch, 3, 7, 7)"),
        (b"not a graph", ("", ""), "cannot be used"),
    ] {
        fs::write(&path, graph).unwrap();
        fs::write(path.with_extension("toml"), entry.replace(edit.0, edit.1)).unwrap();
        let opened = Extractor::open(&Model::from_file(&path).unwrap(), &Options::default());
        let error = opened.err().expect(word);
        assert!(
            matches!(error, ExtractorError::ModelRejected { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn options_out_of_range_are_refused() {
    for (options, option) in [
        (options(0, 1), "batch_size"),
        (options(1, 0), "intra_threads"),
        (options(5000, 1), "batch_size"),
    ] {
        let error = Extractor::open(&model("linear"), &options).err().unwrap();
        assert!(
            error
                .to_string()
                .starts_with(&format!("option {option} must be ")),
            "{error}"
        );
    }
}

#[test]
fn a_gpu_is_used_or_refused() {
    for provider in [ExecutionProvider::Cuda, ExecutionProvider::TensorRt] {
        let gpu = Options {
            execution_provider: provider,
            ..Options::default()
        };
        match Extractor::open(&model("linear"), &gpu) {
            Err(error) => {
                let refused = format!("execution provider {provider} cannot be used: ");
                assert!(error.to_string().starts_with(&refused), "{error}");
            }
            Ok(mut extractor) => {
                let (gpu, cpu) = (
                    extract(&mut extractor, &pictures(9)),
                    extract(&mut open("linear"), &pictures(9)),
                );
                assert!(gpu.iter().zip(cpu).all(|(a, b)| (a - b).abs() < 1e-3));
            }
        }
    }
}

#[test]
fn the_profile_shows_where_nodes_run() {
    let extractor = open("linear");
    let placement = extractor.placement().unwrap();
    assert_eq!(placement.execution_provider, ExecutionProvider::Cpu);
    let providers: Vec<_> = placement.nodes.keys().map(String::as_str).collect();
    assert_eq!(providers, ["CPUExecutionProvider"]);
}

#[test]
fn a_batch_size_is_found_and_memory_given_back_between_runs() {
    let mut extractor = open("linear");
    assert!((1..=256).contains(&extractor.batch_size().unwrap()));
    let images = pictures(30);
    let features = extract(&mut extractor, &images);
    extractor.release().unwrap();
    assert_eq!(extract(&mut extractor, &images), features);
    assert!(
        extractor
            .bare_images_per_second(Duration::from_millis(1))
            .unwrap()
            > 0.0
    );
    let mut fixed = open("fixed_batch");
    assert_eq!(fixed.batch_size().unwrap(), 3);
    fixed.release().unwrap();
}
