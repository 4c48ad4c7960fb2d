use std::fs;

use proptest::prelude::*;

use super::*;
use crate::testing::npy;

fn labels(descr: &str, rows: usize, data: &[u8]) -> Result<Labels, NpyProblem> {
    parse_labels(&npy(1, descr, &format!("({rows},)"), data), rows)
}

fn problem(descr: &str, rows: usize, data: &[u8]) -> String {
    labels(descr, rows, data).unwrap_err().to_string()
}

fn unicode(texts: &[&str], width: usize) -> Vec<u8> {
    let padded = |text: &str| {
        let mut units: Vec<u32> = text.chars().map(u32::from).collect();
        units.resize(width, 0);
        units
    };
    let units = texts.iter().flat_map(|text| padded(text));
    units.flat_map(u32::to_le_bytes).collect()
}

#[test]
fn reads_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.npy");
    let error = read_labels(&path, 3).unwrap_err().to_string();
    assert_eq!(error, format!("{}: no such file", path.display()));
    fs::write(&path, npy(1, "|S3", "(3,)", b"dogcatdog")).unwrap();
    let labels = read_labels(&path, 3).unwrap();
    assert_eq!(labels.classes, [1, 0, 1]);
    assert_eq!(labels.names, ["cat", "dog"]);
    let error = read_labels(&path, 4).unwrap_err().to_string();
    assert_eq!(error, format!("{}: 3 labels for 4 samples", path.display()));
}

#[test]
fn orders_integers_by_value() {
    let signed = [10_i64, -3, 9, i64::MIN, -3, i64::MAX];
    let data: Vec<u8> = signed
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let read = labels("<i8", 6, &data).unwrap();
    assert_eq!(read.classes, [3, 1, 2, 0, 1, 4]);
    assert_eq!(
        read.names,
        [
            "-9223372036854775808",
            "-3",
            "9",
            "10",
            "9223372036854775807"
        ]
    );

    let read = labels("<u8", 2, &[[255; 8], [0; 8]].concat()).unwrap();
    assert_eq!(read.names, ["0", "18446744073709551615"]);
    for (descr, data, name) in [
        ("|i1", &[0xfe][..], "-2"),
        ("<i2", &[0xfe, 0xff], "-2"),
        ("<i4", &[0xfe, 0xff, 0xff, 0xff], "-2"),
        ("|u1", &[0xfe], "254"),
        ("<u2", &[0xfe, 0xff], "65534"),
        ("<u4", &[0xfe, 0xff, 0xff, 0xff], "4294967294"),
    ] {
        assert_eq!(labels(descr, 1, data).unwrap().names, [name], "{descr}");
    }
}

#[test]
fn reads_booleans_and_strings() {
    let read = labels("|b1", 3, &[1, 0, 1]).unwrap();
    assert_eq!(
        (read.classes, read.names),
        (vec![1, 0, 1], vec!["False".into(), "True".into()])
    );

    // 10 before 9 and capitals first: strings are compared by their bytes. A zero within a text belongs to it.
    let texts = ["é", "9", "", "10", "a\0b", "Z", "9"];
    let read = labels("<U4", 7, &unicode(&texts, 4)).unwrap();
    assert_eq!(read.names, ["", "10", "9", "Z", "a\0b", "é"]);
    assert_eq!(read.classes, [5, 2, 0, 1, 4, 3, 2]);

    let read = labels("|S3", 3, b"\xc3\xa9\0b\0\0\0\0\0").unwrap();
    assert_eq!(
        (read.classes, read.names),
        (vec![2, 1, 0], vec!["".into(), "b".into(), "é".into()])
    );
}

#[test]
fn says_why_there_are_no_labels() {
    for (descr, text) in [
        ("|O", "dtype object: its data are pickled"),
        ("<f4", "dtype `<f4` is not read; labels are integers"),
        (">i8", "dtype `>i8` is big-endian; labels are integers"),
        (">U3", "dtype `>U3` is big-endian"),
        ("<M8[ns]", "dtype `<M8[ns]` is not read"),
        ("<i3", "dtype `<i3` is not read"),
        ("<U0", "dtype `<U0` is not read"),
        ("|S0", "dtype `|S0` is not read"),
        ("<U9223372036854775807", "is not read"),
        (
            "<U999999999999",
            "truncated: 140 bytes, 12000000000116 expected",
        ),
    ] {
        let problem = problem(descr, 3, &[0; 12]);
        assert!(problem.contains(text), "{problem}");
    }
    assert_eq!(
        problem("|S2", 3, b"ab\xff\xff\xff\xff"),
        "row 1: the label is not valid text"
    );
    assert_eq!(
        problem("<U1", 2, &[65, 0, 0, 0, 0, 0xd8, 0, 0]),
        "row 1: the label is not valid text"
    );
    assert!(problem("|i1", 3, &[0; 4]).starts_with("bytes after the data"));
    let wrong = parse_labels(&npy(1, "|i1", "(2, 2)", &[0; 4]), 4).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the shape is (2, 2), expected one dimension, (samples,)"
    );
}

#[cfg(target_pointer_width = "64")]
#[test]
fn refuses_more_labels_than_classes_have_numbers() {
    let many = problem("|i1", 1 << 32, &[]);
    assert_eq!(many, "4294967296 labels; the limit is 4294967295");
}

proptest! {
    /// Each sample's class has the sample's label as its name, and the names ascend.
    #[test]
    fn names_every_sample(values in prop::collection::vec(-40_i16..40, 0..200)) {
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let read = labels("<i2", values.len(), &data).unwrap();
        let named: Vec<i16> = read.classes.iter().map(|&class| read.names[class as usize].parse().unwrap()).collect();
        prop_assert_eq!(&named, &values);
        let names: Vec<i16> = read.names.iter().map(|name| name.parse().unwrap()).collect();
        prop_assert!(names.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn numbers_do_not_depend_on_the_order(texts in prop::collection::vec("[a-cé]{0,3}", 1..60), turn in 0_usize..60) {
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let turn = turn % texts.len();
        let mut read = labels("<U3", texts.len(), &unicode(&texts, 3)).unwrap();
        texts.rotate_left(turn);
        read.classes.rotate_left(turn);
        prop_assert_eq!(read, labels("<U3", texts.len(), &unicode(&texts, 3)).unwrap());
    }

    #[test]
    fn survives_any_bytes(
        kind in "[<|>][ibuSUOfM][0-9]{0,3}", rows in 0_usize..9, data in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        survive(&npy(1, &kind, &format!("({rows},)"), &data), rows);
    }

    #[test]
    fn survives_any_change(
        changes in prop::collection::vec((0_usize..140, any::<u8>()), 1..6), cut in 0_usize..150,
        string in any::<bool>(),
    ) {
        let mut bytes = npy(2, if string { "<U1" } else { "<i4" }, "(3,)", &[0; 12]);
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(cut);
        survive(&bytes, 3);
    }
}

fn survive(bytes: &[u8], rows: usize) {
    if let Ok(labels) = parse_labels(bytes, rows) {
        assert_eq!(labels.classes.len(), rows);
        assert!(
            labels
                .classes
                .iter()
                .all(|&class| (class as usize) < labels.names.len())
        );
    }
}
