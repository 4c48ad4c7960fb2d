//! Weights of a file of difficulties, against the reference.

use crate::fit::{fit, vector, write_golden};
use curriculum_tests::{Home, Outcome, TestServer, command::curriculum_in, data, submission};
use ndarray::Array1;
use ndarray_npy::{NpzWriter, read_npy};
use serde_json::Value;
use std::{fs, fs::File};

/// Σ|ours − reference| on the schedule: the reference's search stops up to 1.5e-4 beside the target,
/// which leaves its temperature 8 % off where the effective fraction is flat.
const L1: f64 = 4e-3;

/// The same at the reference's temperature: f32 rounding of difficulties and weights.
const L1_AT_TEMPERATURE: f64 = 1e-5;

/// f32 rounding of 3,000 weights.
const SUM: f64 = 1e-6;

async fn weights(home: &Home, arguments: &str) -> Outcome {
    let arguments = format!("weights {arguments}");
    curriculum_in(&home.path(""), &[], arguments.split_whitespace()).await
}

/// The JSON object, and the weights in `w.npy`.
async fn computed(home: &Home, arguments: &str) -> (Value, Array1<f32>) {
    let answer = weights(home, &format!("{arguments} --out w.npy --json")).await;
    let weights: Array1<f32> = read_npy(home.path("w.npy")).unwrap_or_default();
    let sum: f64 = weights.iter().map(|w| f64::from(*w)).sum();
    assert!((sum - 1.0).abs() < SUM, "{sum}: {answer:?}");
    (answer.json(), weights)
}

/// An `.npz` whose `difficulty` is evenly spread.
fn write_even(home: &Home, samples: u16) {
    let last = f32::from(samples - 1);
    let difficulty: Array1<f32> = (0..samples).map(|i| f32::from(i) / last).collect();
    let mut npz = NpzWriter::new_compressed(File::create(home.path("even.npz")).unwrap());
    npz.add_array("difficulty", &difficulty).unwrap();
    npz.finish().unwrap();
}

#[tokio::test]
async fn weights_of_a_fit_meet_the_reference() {
    let home = Home::new();
    write_golden(&home);
    fit(&home, "x.npy --clusters 8 --out f.npz").await;
    // The public code has its names the other way round.
    for (order, name) in [("easy-first", "difficulty"), ("hard-first", "easy")] {
        for iteration in [0, 100, 500, 900, 999, 1000] {
            let flags = format!(
                "f.npz --iteration {iteration} --order {order} --warmup-iterations 1000 \
                 --initial-effective-percentage 0.2"
            );
            let (answer, weights) = computed(&home, &flags).await;
            let expected: Array1<f64> =
                vector(&data::golden(), &format!("weights_{name}_{iteration}"));
            // From the end of warm-up on the public code returns ones.
            let expected = &expected / expected.sum();
            let l1 = distance(&weights, &expected);
            assert!(l1 < L1, "{order} {iteration}: {l1}");
            assert_eq!(answer["samples"], 3000);
            let (phase, status) = match iteration {
                1000 => ("uniform", "uniform"),
                _ => ("warmup", "ok"),
            };
            assert_eq!(
                (&answer["phase"], &answer["status"]),
                (&phase.into(), &status.into())
            );
            if iteration < 1000 {
                let given = scalar(&format!("tau_{name}_{iteration}"));
                let flags = format!("f.npz --temperature {given} --order {order}");
                let (_, weights) = computed(&home, &flags).await;
                let l1 = distance(&weights, &expected);
                assert!(l1 < L1_AT_TEMPERATURE, "{order} {iteration}: {l1}");
                let reached = answer["effective_fraction"].as_f64().unwrap();
                assert!(
                    (reached - answer["target"].as_f64().unwrap()).abs() < 1e-6,
                    "{answer}"
                );
            }
        }
    }
}

fn distance(weights: &Array1<f32>, expected: &Array1<f64>) -> f64 {
    (&weights.mapv(f64::from) - expected).mapv(f64::abs).sum()
}

fn scalar(name: &str) -> f64 {
    let file = File::open(data::golden()).unwrap();
    let mut npz = ndarray_npy::NpzReader::new(file).unwrap();
    let value: ndarray::Array0<f64> = npz.by_name(name).unwrap();
    value.into_scalar()
}

#[tokio::test]
async fn control_orders_deal_out_the_same_weights() {
    let home = Home::new();
    write_even(&home, 500);
    let sorted = |mut weights: Vec<f32>| {
        weights.sort_by(f32::total_cmp);
        weights
    };
    let (_, easy) = computed(&home, "even.npz --iteration 3").await;
    let (_, reversed) = computed(&home, "even.npz --iteration 3 --order reversed").await;
    let shuffled = "even.npz --iteration 3 --order shuffled --order-seed";
    let (_, one) = computed(&home, &format!("{shuffled} 1")).await;
    let (_, again) = computed(&home, &format!("{shuffled} 1")).await;
    let (_, two) = computed(&home, &format!("{shuffled} 2")).await;
    assert_eq!(one, again);
    assert!(one != two && one != easy);
    assert!(easy.iter().eq(reversed.iter().rev()));
    assert_eq!(sorted(one.to_vec()), sorted(easy.to_vec()));
}

#[tokio::test]
async fn temperatures_and_bounds_say_what_they_do() {
    let home = Home::new();
    write_even(&home, 1000);
    let (answer, weights) = computed(&home, "even.npz --temperature 0.25").await;
    assert_eq!(
        (&answer["temperature"], &answer["target"]),
        (&0.25.into(), &Value::Null)
    );
    let ratio = f64::from(weights[0]) / f64::from(weights[999]);
    assert!((ratio / 4f64.exp() - 1.0).abs() < 1e-5, "{ratio}");
    let (answer, weights) = computed(&home, "even.npz --temperature inf --iteration 7").await;
    assert_eq!(
        (&answer["temperature"], &answer["status"]),
        (&Value::Null, &"uniform".into())
    );
    assert!(weights.iter().all(|w| *w == weights[0]));
    let (answer, _) = computed(&home, "even.npz --iteration 0 --min-temperature 0.5").await;
    assert_eq!(
        (&answer["temperature"], &answer["status"]),
        (&0.5.into(), &"clamped".into())
    );
    let (answer, _) = computed(&home, "even.npz --iteration 0 --warmup-iterations 0").await;
    assert_eq!(
        (&answer["phase"], &answer["status"]),
        (&"uniform".into(), &"uniform".into())
    );
    let few = "even.npz --iteration 0 --draws 100 --initial-effective-percentage 0.05";
    let (answer, _) = computed(&home, few).await;
    assert_eq!(
        (&answer["target"], &answer["status"]),
        (&0.05.into(), &"ok".into())
    );
    // So small a target that only samples of difficulty 0 could reach it.
    let floor = "even.npz --iteration 0 --initial-effective-percentage 0.0001";
    let (answer, _) = computed(&home, floor).await;
    assert_eq!(answer["status"], "floor");
    let (last, _) = computed(&home, &format!("even.npz --iteration {}", 1u64 << 53)).await;
    assert_eq!(last["status"], "uniform");
    let mut seen = std::collections::BTreeSet::new();
    for pacing in
        "linear quadratic root cosine exponential logarithmic step geometric competence".split(' ')
    {
        let flags = format!("even.npz --iteration 300 --pacing {pacing}");
        let (answer, _) = computed(&home, &flags).await;
        seen.insert(answer["target"].to_string());
    }
    assert_eq!(seen.len(), 9);
}

#[tokio::test]
async fn schedules_out_of_range_name_the_flag() {
    let home = Home::new();
    write_even(&home, 1000);
    for (flags, said) in [
        ("--iteration 9007199254740993", "--iteration"),
        ("--iteration -1", "-1"),
        ("", "--iteration"),
        ("--temperature -1", "--temperature is -1"),
        (
            "--iteration 0 --initial-effective-percentage 0.64",
            "--initial-effective-percentage is 0.64",
        ),
        (
            "--iteration 0 --initial-effective-percentage 0",
            "--initial-effective-percentage is 0,",
        ),
        (
            "--iteration 0 --initial-effective-percentage NaN",
            "--initial-effective-percentage is NaN",
        ),
        (
            "--iteration 0 --max-effective-ratio 0.9",
            "--max-effective-ratio is 0.9",
        ),
        (
            "--iteration 0 --min-temperature 0",
            "--min-temperature is 0",
        ),
        (
            "--iteration 0 --min-temperature 2 --max-temperature 1",
            "--max-temperature is 1",
        ),
        ("--iteration 0 --draws 0", "--draws is 0"),
        ("--iteration 0 --pacing slow", "--pacing"),
        ("--iteration 0 --order upwards", "--order"),
        ("--temperature 0", "--temperature is 0"),
        ("--temperature NaN", "--temperature is NaN"),
        ("--iteration 0 --pin abc", "--pin"),
    ] {
        weights(&home, &format!("even.npz {flags}"))
            .await
            .refused(said);
    }
}

#[tokio::test]
async fn archives_without_difficulties_name_file_and_array() {
    let home = Home::new();
    let path = home.path("bad.npz");
    let archive = |name: &str, write: &dyn Fn(&mut NpzWriter<File>, &str)| {
        let mut npz = NpzWriter::new(File::create(&path).unwrap());
        write(&mut npz, name);
        npz.finish().unwrap();
    };
    let refused = async |said: &str| {
        let outcome = weights(&home, "bad.npz --iteration 0").await;
        outcome.refused("bad.npz");
        outcome.refused(said);
    };
    let vector = Array1::from_vec(vec![0.5f32, 0.25]);
    archive("distance", &|npz, name| {
        npz.add_array(name, &vector).unwrap()
    });
    refused("array `difficulty`: it is missing").await;
    let doubles = vector.mapv(f64::from);
    archive("difficulty", &|npz, name| {
        npz.add_array(name, &doubles).unwrap()
    });
    refused("array `difficulty`: its dtype is '<f8', not '<f4'").await;
    let matrix = vector.clone().into_shape_with_order((2, 1)).unwrap();
    archive("difficulty", &|npz, name| {
        npz.add_array(name, &matrix).unwrap()
    });
    refused("array `difficulty`: its shape is (2, 1), not (samples,)").await;
    let none = Array1::<f32>::zeros(0);
    archive("difficulty", &|npz, name| {
        npz.add_array(name, &none).unwrap()
    });
    refused("array `difficulty`: it is empty").await;
    for bad in [f32::NAN, f32::INFINITY] {
        let unusable = Array1::from_vec(vec![0.0, bad]);
        archive("difficulty", &|npz, name| {
            npz.add_array(name, &unusable).unwrap()
        });
        refused("array `difficulty`: row 1 is not finite").await;
    }
    let many = Array1::from_elem(1000, 0.5f32);
    archive("difficulty", &|npz, name| {
        npz.add_array(name, &many).unwrap()
    });
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..3000]).unwrap();
    refused("truncated").await;
    let mut damaged = bytes;
    damaged[2000] ^= 1;
    fs::write(&path, damaged).unwrap();
    refused("array `difficulty`").await;
    fs::write(&path, b"\x80\x04\x95 a pickle").unwrap();
    refused("not an .npz archive").await;
    fs::remove_file(&path).unwrap();
    refused("No such file").await;
}

#[tokio::test]
async fn a_server_s_curriculum_keeps_its_own_schedule() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(64));
    server.publish(submission("c", &source, 3)).await;
    for flag in [
        "--warmup-iterations 5",
        "--pacing root",
        "--temperature 1",
        "--draws 5",
    ] {
        let flags = format!("c --iteration 0 {flag} --server {}", server.url());
        weights(&home, &flags)
            .await
            .refused(flag.split(' ').next().unwrap());
    }
    let flags = format!("c --iteration 0 --server {}", server.url());
    let (easy, first) = computed(&home, &flags).await;
    assert_eq!(
        (&easy["phase"], &easy["status"]),
        (&"warmup".into(), &"ok".into())
    );
    let (_, reversed) = computed(&home, &format!("{flags} --order reversed")).await;
    let (_, shuffled) = computed(&home, &format!("{flags} --order shuffled --order-seed 9")).await;
    assert!(first != reversed && first != shuffled && reversed != shuffled);
}
