//! Features and images to difficulties without a server, against the reference.

use curriculum_tests::{Home, command::curriculum_in, data};
use ndarray::{Array1, Array2, Axis};
use ndarray_npy::{NpzReader, ReadableElement, read_npy, write_npy};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde_json::Value;
use std::{fs, fs::File, path::Path};
use tokio::process::Command;

/// f32 rounding of distances near one, over the range of a cluster.
const DIFFICULTY: f32 = 1e-6;

/// An array of an `.npz` of one dimension.
pub(crate) fn vector<T: ReadableElement>(path: &Path, name: &str) -> Array1<T> {
    let mut npz = NpzReader::new(File::open(path).unwrap()).unwrap();
    npz.by_name(name).unwrap()
}

/// The reference's features and labels as `x.npy` and `y.npy`.
pub(crate) fn write_golden(home: &Home) {
    let mut npz = NpzReader::new(File::open(data::golden()).unwrap()).unwrap();
    let features: Array2<f32> = npz.by_name("features").unwrap();
    let labels: Array1<i64> = npz.by_name("labels").unwrap();
    write_npy(home.path("x.npy"), &features).unwrap();
    write_npy(home.path("y.npy"), &labels).unwrap();
}

/// `curriculum fit` in `home`; the JSON object.
pub(crate) async fn fit(home: &Home, flags: &str) -> Value {
    let arguments = format!("fit {flags} --json");
    let arguments = arguments.split_whitespace();
    let fitted = curriculum_in(&home.path(""), &[], arguments).await;
    assert_eq!(fitted.code, Some(0), "{fitted:?}");
    serde_json::from_str(fitted.stdout.lines().last().unwrap()).unwrap()
}

#[tokio::test]
async fn a_given_number_of_clusters_meets_the_reference() {
    let home = Home::new();
    write_golden(&home);
    let fitted = fit(&home, "x.npy --clusters 8 --out f.npz").await;
    assert_eq!(
        (&fitted["samples"], &fitted["dimension"]),
        (&3000.into(), &32.into())
    );
    assert_eq!(
        (&fitted["clusters"], &fitted["failed"]),
        (&8.into(), &0.into())
    );
    assert!(fitted["davies_bouldin"].as_f64().unwrap() < 0.5, "{fitted}");
    for stage in ["statistics", "cluster", "score", "write"] {
        assert!(
            fitted["seconds"][stage].as_f64().unwrap() >= 0.0,
            "{fitted}"
        );
    }
    let path = home.path("f.npz");
    let difficulty: Array1<f32> = vector(&path, "difficulty");
    let expected: Array1<f32> = vector(&data::golden(), "difficulty_unsupervised");
    let difference = (&difficulty - &expected).mapv(f32::abs);
    let largest = difference.iter().copied().fold(0.0, f32::max);
    assert!(largest <= DIFFICULTY, "{largest}");
    // Distances belong to the centroids: their squares sum to the inertia.
    let distance: Array1<f32> = vector(&path, "distance");
    let squares: f64 = distance.iter().map(|d| f64::from(*d).powi(2)).sum();
    let inertia = fitted["inertia"].as_f64().unwrap();
    assert!(
        (squares / inertia - 1.0).abs() < 1e-6,
        "{squares} {inertia}"
    );
    let cluster: Array1<u32> = vector(&path, "cluster");
    assert_eq!(cluster.iter().max(), Some(&7));
    let mut npz = NpzReader::new(File::open(path).unwrap()).unwrap();
    let centroids: Array2<f32> = npz.by_name("centroids").unwrap();
    assert_eq!(centroids.dim(), (8, 32));
}

#[tokio::test]
async fn automatic_choice_meets_the_reference_for_ranges_and_lists() {
    let home = Home::new();
    write_golden(&home);
    let chosen: Array1<f32> = {
        let fitted = fit(&home, "x.npy --clusters auto --out auto.npz").await;
        assert_eq!(fitted["clusters"], 8);
        let curve = fitted["curve"].as_array().unwrap();
        assert_eq!(curve.len(), 19);
        assert_eq!((&curve[0][0], &curve[18][0]), (&2.into(), &20.into()));
        assert_eq!(curve[6][1], fitted["davies_bouldin"]);
        vector(&home.path("auto.npz"), "difficulty")
    };
    for clusters in ["auto:7-9", "auto:3,8"] {
        let flags = format!("x.npy --clusters {clusters} --out f.npz");
        assert_eq!(fit(&home, &flags).await["clusters"], 8, "{clusters}");
        let difficulty: Array1<f32> = vector(&home.path("f.npz"), "difficulty");
        assert!(
            (&difficulty - &chosen)
                .iter()
                .all(|d| d.abs() <= DIFFICULTY)
        );
    }
}

/// k-means inside a class of a few hundred samples has many optima, and the reference's is another:
/// difficulties agree as a whole, not one by one.
#[tokio::test]
async fn by_label_agrees_with_the_reference() {
    let home = Home::new();
    write_golden(&home);
    let flags = "x.npy --clusters 4 --by-label --labels y.npy --out f.npz";
    let fitted = fit(&home, flags).await;
    assert_eq!(
        (&fitted["clusters"], &fitted["min_cluster_size"]),
        (&12.into(), &1.into())
    );
    assert_eq!(fitted["davies_bouldin"], Value::Null);
    // What ten starts of scikit-learn's KMeans reach in each class, together: 301.5266.
    assert!(
        fitted["inertia"].as_f64().unwrap() < 301.5266 * 1.001,
        "{fitted}"
    );
    let path = home.path("f.npz");
    let difficulty: Array1<f32> = vector(&path, "difficulty");
    let expected: Array1<f64> = vector(&data::golden(), "difficulty_supervised_k4");
    let agreement = correlation(&difficulty.mapv(f64::from), &expected);
    assert!(agreement > 0.99, "{agreement}");
    let labels: Array1<i64> = vector(&data::golden(), "labels");
    let cluster: Array1<u32> = vector(&path, "cluster");
    let mut class_of = [None; 12];
    for class in 0..3 {
        let members = (0..3000).filter(|i| labels[*i] == class);
        let (mut least, mut most) = (f32::MAX, 0f32);
        for member in members {
            least = least.min(difficulty[member]);
            most = most.max(difficulty[member]);
            let known = class_of[cluster[member] as usize].replace(class);
            assert!(
                known.is_none_or(|known| known == class),
                "a cluster in two classes"
            );
        }
        assert_eq!((least, most), (0.0, 1.0));
    }
}

#[tokio::test]
async fn threads_do_not_change_a_byte_and_seeds_do() {
    let home = Home::new();
    write_golden(&home);
    let run = async |flags: &str| {
        let flags = format!("x.npy --clusters auto:9-11 --out f.npz {flags}");
        fit(&home, &flags).await;
        fs::read(home.path("f.npz")).unwrap()
    };
    let one = run("--threads 1").await;
    assert!(one == run("--threads 2").await && one == run("--threads 5").await);
    assert!(one != run("--seed 1").await);
}

#[tokio::test]
async fn other_scores_and_normalizations_are_what_they_say() {
    let home = Home::new();
    write_golden(&home);
    let run = async |flags: &str| -> Array1<f32> {
        fit(&home, &format!("x.npy --clusters 8 --out f.npz {flags}")).await;
        vector(&home.path("f.npz"), "difficulty")
    };
    let raw = run("--normalization none").await;
    let distance: Array1<f32> = vector(&home.path("f.npz"), "distance");
    assert_eq!(raw, distance);
    let global = run("--normalization global-min-max").await;
    let zeros = global.iter().filter(|d| **d == 0.0).count();
    assert_eq!(zeros, 1);
    let rank = run("--normalization cluster-rank").await;
    let mean = f64::from(rank.sum()) / 3000.0;
    assert!((mean - 0.5).abs() < 1e-3, "{mean}");
    let scored = [run("--score cosine").await, run("--score neighbours").await];
    let plain = run("").await;
    for other in &scored {
        assert!(*other != plain && other.iter().all(|d| (0.0..=1.0).contains(d)));
    }
}

#[tokio::test]
async fn features_can_be_left_as_they_are() {
    let home = Home::new();
    write_golden(&home);
    let flags = "x.npy --clusters 1 --feature-normalization none --out f.npz";
    fit(&home, flags).await;
    let distance: Array1<f32> = vector(&home.path("f.npz"), "distance");
    let features: Array2<f32> = read_npy(home.path("x.npy")).unwrap();
    let mean = features.mean_axis(Axis(0)).unwrap();
    assert_eq!(distance.len(), features.nrows());
    for (row, distance) in features.rows().into_iter().zip(&distance) {
        let expected = (&row - &mean).mapv(|x| x * x).sum().sqrt();
        assert!((expected - distance).abs() < 1e-4 * expected);
    }
}

#[tokio::test]
async fn images_are_fitted_and_broken_ones_are_hardest() {
    let home = Home::new();
    let mut images = data::images(80);
    images[5].bytes = b"not an image".to_vec();
    data::write_tar(&home.path("images.tar"), &images);
    let flags = "images.tar --clusters 3 --max-failed-fraction 0.1 --out f.npz";
    let fitted = fit(&home, flags).await;
    assert_eq!(
        (&fitted["samples"], &fitted["failed"]),
        (&80.into(), &1.into())
    );
    let warning = fitted["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("sample 5") && warning.contains(&images[5].key),
        "{warning}"
    );
    assert!(fitted["seconds"]["extract"].as_f64().unwrap() > 0.0);
    let path = home.path("f.npz");
    let (difficulty, distance): (Array1<f32>, Array1<f32>) =
        (vector(&path, "difficulty"), vector(&path, "distance"));
    let cluster: Array1<u32> = vector(&path, "cluster");
    assert_eq!((difficulty[5], cluster[5]), (1.0, u32::MAX));
    assert!(distance[5].is_nan() && distance.iter().filter(|d| d.is_nan()).count() == 1);
    assert!(cluster.iter().filter(|c| **c < 3).count() == 79);

    let by_label = fit(&home, &format!("{flags} --by-label")).await;
    let classes = images.iter().map(|image| &image.label);
    let classes: std::collections::BTreeSet<_> = classes.collect();
    assert!(by_label["clusters"].as_u64().unwrap() <= 3 * classes.len() as u64);
    let strict = ["fit", "images.tar", "--clusters", "3", "--out", "g.npz"];
    let strict = curriculum_in(&home.path(""), &[], strict).await;
    strict.refused("1 of 80 samples failed");
    assert!(!home.path("g.npz").exists());
}

#[tokio::test]
async fn an_interrupted_fit_ends_with_4_and_leaves_nothing() {
    let home = Home::new();
    let slow = data::write_slow_jsonl(&home.path("slow"), 6_000, 400);
    let child = Command::new(curriculum_tests::binary::path())
        .current_dir(home.path(""))
        .arg("fit")
        .arg(slow)
        .args(["--out", "f.npz"])
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.unwrap();
    let mut stderr = tokio::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut stderr, &mut line)
        .await
        .unwrap();
    assert!(line.starts_with("extract"), "{line}");
    let id = Pid::from_raw(child.id().unwrap().try_into().unwrap());
    signal::kill(id, Signal::SIGINT).unwrap();
    let ended = tokio::time::timeout(curriculum_tests::PATIENCE, child.wait()).await;
    assert_eq!(ended.unwrap().unwrap().code(), Some(4));
    let left = fs::read_dir(home.path("")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["slow"]);
}

fn correlation(a: &Array1<f64>, b: &Array1<f64>) -> f64 {
    let (a, b) = (a - a.mean().unwrap(), b - b.mean().unwrap());
    (&a * &b).sum() / ((&a * &a).sum() * (&b * &b).sum()).sqrt()
}
