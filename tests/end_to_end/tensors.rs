//! Samples that are the model's input already.

use curriculum_proto::v1::Order;
use curriculum_tests::{
    Home, TestServer,
    calls::{parameters, submission, weights_of},
    command::curriculum,
    data::{self, Image},
};
use half::f16;
use ndarray::Array3;
use ndarray_npy::WriteNpyExt;
use std::io::Cursor;

/// Of the embedded model's input, in pixels.
const SIDE: usize = 28;

/// What the embedded model's preprocessing makes of an image of the archive, as a `.npy` file.
fn tensor(mut image: Image) -> Image {
    let grey = image::load_from_memory(&image.bytes).unwrap().to_luma8();
    let values = Array3::from_shape_fn((3, SIDE, SIDE), |(_, y, x)| {
        (f32::from(grey.get_pixel(x as u32, y as u32).0[0]) / 255.0 - 0.28604) / 0.35302
    });
    let mut file = Cursor::new(Vec::new());
    values.write_npy(&mut file).unwrap();
    image.key = image.key.replace(".png", ".npy");
    image.bytes = file.into_inner();
    image
}

/// The same numbers in f16, the header by hand.
fn halved(image: &Image) -> Vec<u8> {
    let (header, values) = image.bytes.split_at(128);
    let header = String::from_utf8_lossy(&header[8..]).replace("<f4", "<f2");
    let values = values.as_chunks().0.iter().copied().map(f32::from_le_bytes);
    let halves = values.flat_map(|value| f16::from_f32(value).to_le_bytes());
    let start = *b"\x93NUMPY\x01\x00";
    start
        .into_iter()
        .chain(header.into_bytes())
        .chain(halves)
        .collect()
}

#[tokio::test]
async fn tensors_have_the_difficulties_of_the_images_they_were_made_of() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let images = data::images(96);
    let folder = home.path("images");
    let read = data::write_jsonl(&folder, &images);
    server.publish(submission("images", &read, 4)).await;
    let expected = server
        .weights(weights_of("images", 0, Order::EasyFirst))
        .await
        .unwrap();

    let tensors: Vec<Image> = images.into_iter().map(tensor).collect();
    let rows = data::write_jsonl(&home.path("tensors"), &tensors);
    let job = server.publish(submission("tensors", &rows, 4)).await;
    let found = server
        .weights(weights_of("tensors", 0, Order::EasyFirst))
        .await
        .unwrap();
    assert_eq!(found.bits(), expected.bits());

    // Sent by PushImages, they are the same version.
    let pushed = curriculum([
        "push",
        rows.to_str().unwrap(),
        "--id",
        "p",
        "--submit",
        "--name",
        "pushed",
        "--clusters",
        "4",
        "--wait",
        "--json",
        "--server",
        server.url(),
    ]);
    assert_eq!(pushed.await.json()["version"], job.version.as_str());
}

#[tokio::test]
async fn bad_tensors_are_errors_of_their_samples() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let mut tensors: Vec<Image> = data::images(60).into_iter().map(tensor).collect();
    for tensor in &mut tensors[5..] {
        tensor.bytes = halved(tensor);
    }
    tensors[7].bytes.truncate(300);
    let place = 128 + 2 * (2 * SIDE * SIDE + 3 * SIDE + 9);
    tensors[20].bytes[place..place + 2].copy_from_slice(&f16::INFINITY.to_le_bytes());
    let header =
        String::from_utf8_lossy(&tensors[30].bytes[8..128]).replace("(3, 28, 28)", "(28, 28, 3)");
    tensors[30].bytes[8..128].copy_from_slice(header.as_bytes());
    let source = data::write_jsonl(&home.path("tensors"), &tensors);
    let mut request = submission("c", &source, 3);
    parameters(&mut request).max_failed_fraction = Some(0.1);
    let job = server.publish(request).await;
    let errors = server.job(&job.id).await.errors;
    let expected = [
        (7, "truncated: 300 bytes, 4832 expected"),
        (20, "its value at [2, 3, 9] is inf"),
        (30, "the shape is (28, 28, 3), expected (3, 28, 28)"),
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    for (error, (index, reason)) in errors.iter().zip(expected) {
        assert_eq!(error.index, index);
        assert!(error.reason.contains(reason), "{error:?}");
    }
}

/// In a folder a `.npy` file may be anything, and indices are those of torchvision's `ImageFolder`.
#[tokio::test]
async fn a_folder_lists_images_alone() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let mut images = data::images(40);
    images.extend(data::images(2).into_iter().map(tensor));
    let folder = home.path("folder");
    data::write_folder(&folder, &images);
    let job = server.publish(submission("c", &folder, 2)).await;
    assert_eq!(job.sample_count, 40);
}
