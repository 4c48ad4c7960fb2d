//! What `fit` refuses, and how it is said.

use crate::fit::fit;
use curriculum_tests::{Home, Outcome, command::curriculum_in, data};
use std::fs;

/// A `.npy` of f32.
fn write(home: &Home, name: &str, shape: &str, values: &[f32]) {
    let items: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    data::write_npy(&home.path(name), "<f4", false, shape, &items);
}

/// 40 rows of 3 that are all different.
fn rows() -> Vec<f32> {
    let value = |i: usize| ((i * i * 7 + i) % 101) as f32;
    (0..120).map(value).collect()
}

async fn refused(home: &Home, flags: &str) -> Outcome {
    let arguments = format!("fit {flags} --out f.npz");
    let outcome = curriculum_in(&home.path(""), &[], arguments.split(' ')).await;
    assert!(!home.path("f.npz").exists(), "{flags}");
    outcome
}

#[tokio::test]
async fn features_that_are_not_finite_name_their_row() {
    let home = Home::new();
    for (place, value) in [(0, f32::NAN), (61, f32::INFINITY), (119, f32::NEG_INFINITY)] {
        let mut values = rows();
        values[place] = value;
        write(&home, "x.npy", "(40, 3)", &values);
        let outcome = refused(&home, "x.npy --clusters 2").await;
        outcome.refused(&format!("x.npy: row {}: ", place / 3));
        outcome.refused(&format!("column {} is not finite", place % 3));
    }
}

#[tokio::test]
async fn arrays_that_are_no_features_are_refused() {
    let home = Home::new();
    let items: Vec<u8> = rows().iter().flat_map(|x| x.to_le_bytes()).collect();
    let doubles: Vec<u8> = rows()
        .iter()
        .flat_map(|x| f64::from(*x).to_le_bytes())
        .collect();
    let cases: [(&str, bool, &str, &[u8], &str); 8] = [
        ("<f4", true, "(40, 3)", &items, "Fortran order"),
        ("<f8", false, "(40, 3)", &doubles, "dtype `<f8`"),
        (">f4", false, "(40, 3)", &items, "big-endian"),
        // Rows of different length are an array of objects.
        ("|O", false, "(40,)", b"\x80\x04]", "dtype object"),
        ("<f4", false, "(40, 3)", &items[..479], "truncated"),
        ("<f4", false, "(41, 3)", &items, "truncated"),
        ("<f4", false, "(120,)", &items, "two dimensions"),
        (
            "<f4",
            false,
            "(4611686018427387904, 4)",
            &items,
            "more bytes than can be addressed",
        ),
    ];
    for (descr, fortran_order, shape, items, said) in cases {
        data::write_npy(&home.path("x.npy"), descr, fortran_order, shape, items);
        let outcome = refused(&home, "x.npy --clusters 2").await;
        outcome.refused(said);
        outcome.refused("x.npy");
    }
    for (content, said) in [
        (&b""[..], "the file is empty"),
        (b"0.5,0.25\n", "not an .npy file"),
        (b"PK\x03\x04", "an .npz archive"),
    ] {
        fs::write(home.path("x.npy"), content).unwrap();
        refused(&home, "x.npy --clusters 2").await.refused(said);
    }
    refused(&home, "absent.npy")
        .await
        .refused("absent.npy: no such file");
    refused(&home, "absent.tar").await.refused("absent.tar");
}

#[tokio::test]
async fn flags_that_do_not_fit_the_features_are_refused() {
    let home = Home::new();
    write(&home, "x.npy", "(40, 3)", &rows());
    let labels: Vec<u8> = (0..39i64).flat_map(i64::to_le_bytes).collect();
    data::write_npy(&home.path("y.npy"), "<i8", false, "(39,)", &labels);
    for (flags, said) in [
        ("--clusters 41", "41 clusters"),
        ("--clusters 0", "at least 1"),
        ("--clusters -3", "--clusters"),
        ("--clusters auto:1-5", "starts at 2"),
        ("--clusters auto:9-5", "ends before it starts"),
        ("--clusters auto:40-50", "40"),
        ("--clusters auto:2,41", "41"),
        ("--clusters 2 --by-label", "--labels"),
        (
            "--clusters 2 --by-label --labels y.npy",
            "39 labels for 40 samples",
        ),
        ("--clusters 2 --labels y.npy", "39 labels for 40 samples"),
        (
            "--clusters 2 --by-label --labels x.npy",
            "labels are integers",
        ),
        ("--clusters 2 --normalization rank", "--normalization"),
        ("--clusters 2 --score l1", "--score"),
        ("--clusters 2 --threads 1000000", "--threads"),
    ] {
        refused(&home, &format!("x.npy {flags}"))
            .await
            .refused(said);
    }
    let nowhere = ["fit", "x.npy", "--clusters", "2", "--out", "no/f.npz"];
    let outcome = curriculum_in(&home.path(""), &[], nowhere).await;
    outcome.refused("--out no/f.npz");
}

#[tokio::test]
async fn the_smallest_inputs_are_fitted() {
    let home = Home::new();
    write(&home, "x.npy", "(1, 1)", &[3.0]);
    let fitted = fit(&home, "x.npy --clusters 1 --out f.npz").await;
    assert_eq!(
        (&fitted["samples"], &fitted["clusters"]),
        (&1.into(), &1.into())
    );
    // Half precision, as many clusters as rows, two of them equal.
    let halves: Vec<u8> = [0x3c00u16, 0x4000, 0x4000, 0x4200]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    data::write_npy(&home.path("x.npy"), "<f2", false, "(2, 2)", &halves);
    let fitted = fit(&home, "x.npy --clusters 2 --out f.npz").await;
    assert_eq!(fitted["clusters"], 2);
    // Clusters of two cannot be large enough: the rule says that it was not applied.
    let warning = fitted["warnings"][0].as_str().unwrap();
    assert!(warning.contains("min_cluster_size"), "{warning}");
}
