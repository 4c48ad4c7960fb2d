//! The same images, from wherever people keep them: one version, bit by bit.
//!
//! Some hundred images in a usual run, all of Fashion-MNIST in a long one (`make test-long`).

use crate::published::Published;
use curriculum_proto::v1::SubmitJobRequest;
use curriculum_tests::{
    Home, Launch, TestServer,
    calls::submission,
    data::{self, Image},
    fashion,
    s3::S3,
    tables,
};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

/// Images of a usual run.
const FEW: usize = 400;

const SHARDS: usize = 3;

#[tokio::test]
async fn every_layout_of_the_same_images_is_the_same_version() {
    let home = Home::new();
    let images = fashion::images(FEW);
    let folder = home.path("folder");
    data::write_folder(&folder, &images);
    let expected = publish(&Launch::default(), &folder.display().to_string()).await;
    for source in layouts(&home, &images) {
        let published = publish(&Launch::default(), &source).await;
        assert_eq!(published, expected, "{source}");
    }
}

/// The bucket's server has a runtime of its own, which must end outside of this one.
#[test]
fn a_bucket_of_the_same_images_is_the_same_version() {
    let s3 = S3::start();
    let home = Home::new();
    let images = fashion::images(FEW);
    let folder = home.path("folder");
    data::write_folder(&folder, &images);
    let _local = layouts(&home, &images);
    s3.put_all("images", "folder", &folder);
    s3.put_all("images", "shards", &home.path("shards"));
    for table in ["images-0.parquet", "images-1.parquet"] {
        s3.put("images", table, fs::read(home.path(table)).unwrap());
    }
    let settings = s3.settings();
    let variables: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (&**k, &**v)).collect();
    let launch = Launch {
        variables: &variables,
        ..Launch::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let expected = publish(&Launch::default(), &folder.display().to_string()).await;
        for source in [
            "s3://images/folder",
            "s3://images/shards/train-{000000..000002}.tar",
            "s3://images/images-{0,1}.parquet",
        ] {
            assert_eq!(publish(&launch, source).await, expected, "{source}");
        }
    });
}

/// Every layout but the folder.
fn layouts(home: &Home, images: &[Image]) -> Vec<String> {
    let shards = write_shards(&home.path("shards"), images);
    let rows = images
        .iter()
        .map(|image| (image, format!("folder/{}", image.key)));
    let mut csv = "id,path,label\n".to_owned();
    let mut jsonl = String::new();
    for (image, path) in rows {
        csv += &format!("\"{}\",{path},{}\n", image.key, image.label);
        jsonl += &(data::row(&image.key, &path, &image.label) + "\n");
    }
    fs::write(home.path("images.csv"), csv).unwrap();
    fs::write(home.path("images.jsonl"), jsonl).unwrap();
    let list: String = shards
        .iter()
        .map(|shard| format!("{}\n", shard.display()))
        .collect();
    fs::write(home.path("shards.txt"), list).unwrap();
    for shard in &shards {
        compress(shard);
    }
    let half = images.len() / 2;
    tables::write_parquet(&home.path("images-0.parquet"), &images[..half], 100);
    tables::write_parquet(&home.path("images-1.parquet"), &images[half..], 1_000);
    [
        "shards/train-{000000..000002}.tar",
        "shards/train-{000000..000002}.tar.gz",
        "shards.txt",
        "images-{0,1}.parquet",
        "images.csv",
        "images.jsonl",
    ]
    .map(|name| home.path(name).display().to_string())
    .into()
}

fn write_shards(folder: &Path, images: &[Image]) -> Vec<PathBuf> {
    fs::create_dir_all(folder).unwrap();
    let parts = images.chunks(images.len().div_ceil(SHARDS));
    parts
        .enumerate()
        .map(|(number, part)| {
            let path = folder.join(format!("train-{number:06}.tar"));
            data::write_tar(&path, part);
            path
        })
        .collect()
}

fn compress(path: &Path) {
    let file = File::create(format!("{}.gz", path.display())).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    encoder.write_all(&fs::read(path).unwrap()).unwrap();
    encoder.finish().unwrap();
}

/// In a data folder of its own, so that nothing is found that was built before.
async fn publish(launch: &Launch<'_>, source: &str) -> Published {
    let home = Home::new();
    let server = TestServer::launch(&home, *launch).await;
    let request = SubmitJobRequest {
        source: source.to_owned(),
        ..submission("c", Path::new(""), 6)
    };
    let job = server.publish(request).await;
    assert_eq!(job.failed_count, 0, "{source}");
    Published::read(&server, job).await
}
