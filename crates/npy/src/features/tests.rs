use std::fs;

use proptest::prelude::*;

use super::*;
use crate::testing::{npy, with_header};

fn problem(bytes: Vec<u8>) -> String {
    Features::from_bytes(bytes).unwrap_err().to_string()
}

/// Every row, read in blocks of `rows` rows.
fn read_all(features: &Features, rows: usize) -> Vec<f32> {
    let mut buffer = Vec::new();
    let mut all = Vec::new();
    for start in (0..features.rows()).step_by(rows) {
        let end = features.rows().min(start + rows);
        all.extend_from_slice(features.block(start..end, &mut buffer));
    }
    all
}

fn shape(rows: usize, dimension: usize) -> String {
    format!("({rows}, {dimension})")
}

#[test]
fn reads_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.npy");
    let values = [1.0, -2.5, f32::MIN_POSITIVE, f32::INFINITY, 0.0, 3.0];
    let data: Vec<u8> = values
        .iter()
        .flat_map(|value: &f32| value.to_le_bytes())
        .collect();
    fs::write(&path, npy(1, "<f4", "(3, 2)", &data)).unwrap();

    let features = Features::open(&path).unwrap();
    assert_eq!((features.rows(), features.dimension()), (3, 2));
    assert_eq!(features.dtype(), FloatType::F32);
    let mut buffer = Vec::new();
    assert_eq!(features.block(1..3, &mut buffer), &values[2..]);
    assert_eq!(features.block(3..3, &mut buffer), &[0.0; 0]);
    assert_eq!(buffer.capacity(), 0, "aligned f32 is lent, not copied");
}

#[test]
fn names_the_path_and_what_stands_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.npy");
    let error = |path: &Path| Features::open(path).unwrap_err().to_string();
    assert_eq!(error(&path), format!("{}: no such file", path.display()));
    fs::write(&path, "").unwrap();
    assert_eq!(
        error(&path),
        format!("{}: the file is empty", path.display())
    );
    fs::write(&path, &npy(1, "<f4", "(3, 2)", &[0; 24])[..150]).unwrap();
    assert_eq!(
        error(&path),
        format!(
            "{}: truncated: 150 bytes, 152 expected for the shape (3, 2)",
            path.display()
        )
    );
    let error = error(folder.path());
    assert!(error.ends_with(": not a regular file"), "{error}");
}

#[test]
fn refuses_other_dtypes_by_name() {
    for (descr, text) in [
        ("<f8", "dtype `<f8` is not read; features are <f4 or <f2"),
        ("<i4", "dtype `<i4` is not read"),
        ("|b1", "dtype `|b1` is not read"),
        ("<f44", "dtype `<f44` is not read"),
        ("<f+4", "dtype `<f+4` is not read"),
        ("<f99999999999999999999", "is not read"),
        ("<f", "dtype `<f` is not read"),
        ("", "dtype `` is not read"),
        (">f4", "dtype `>f4` is big-endian; features are"),
        (">f2", "dtype `>f2` is big-endian"),
        ("|O", "dtype object: its data are pickled"),
        ("\x1b[2J", "dtype `\u{fffd}[2J` is not read"),
    ] {
        let problem = problem(npy(1, descr, "(3, 2)", &[0; 48]));
        assert!(problem.contains(text), "{problem}");
        assert!(problem.contains(".astype(np.float32)"), "{problem}");
    }
    let long = problem(npy(1, &"x".repeat(9000), "(3, 2)", &[]));
    assert!(long.len() < 300 && long.contains('…'), "{long}");
    let fields = "{'descr': [('a', '<f4'), ('b', '<i8')], 'fortran_order': False, 'shape': (1, 1)}";
    let fields = problem(with_header(1, fields, &[0; 12]));
    assert!(
        fields.contains("dtype `[('a', '<f4'), ('b', '<i8')]` is not"),
        "{fields}"
    );
}

#[test]
fn refuses_other_shapes_by_name() {
    for (shape, text) in [
        ("()", "the shape is (), expected two dimensions"),
        ("(6,)", "the shape is (6,), expected two dimensions"),
        ("(1, 3, 2)", "the shape is (1, 3, 2), expected two"),
        ("(0, 2)", "nothing in it: the shape is (0, 2)"),
        ("(3, 0)", "nothing in it: the shape is (3, 0)"),
        ("(3, 3)", "bytes, 164 expected for the shape (3, 3)"),
        ("(1, 2)", "bytes after the data: 152 bytes, 136 expected"),
        ("(9223372036854775808, 2)", "has more bytes than can be"),
    ] {
        let problem = problem(npy(1, "<f4", shape, &[0; 24]));
        assert!(problem.contains(text), "{problem}");
    }
    let fortran = "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2)}";
    let fortran = problem(with_header(1, fortran, &[0; 24]));
    assert_eq!(
        fortran,
        "in Fortran order; save it with np.save(path, np.ascontiguousarray(array))"
    );
}

#[test]
#[should_panic(expected = "out of range")]
fn panics_at_rows_that_are_not_there() {
    let features = Features::from_bytes(npy(1, "<f2", "(3, 2)", &[0; 12])).unwrap();
    let _ = features.block(2..4, &mut Vec::new());
}

/// What every half-precision number is, by the definition of binary16: sign, 5 bits of exponent, 10 of fraction.
fn half_to_single(bits: u16) -> f32 {
    let exponent = i32::from(bits >> 10 & 31);
    let fraction = f32::from(bits & 1023);
    let size = match exponent {
        0 => fraction * 2_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    };
    if bits >> 15 == 0 { size } else { -size }
}

#[test]
fn converts_every_half_exactly() {
    let data: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let features = Features::from_bytes(npy(1, "<f2", "(4096, 16)", &data)).unwrap();
    assert_eq!(features.dtype(), FloatType::F16);
    for (bits, value) in (0..=u16::MAX).zip(read_all(&features, 1000)) {
        let expected = half_to_single(bits);
        let same = value.to_bits() == expected.to_bits() || value.is_nan() && expected.is_nan();
        assert!(same, "{bits:#06x}: {value}, expected {expected}");
    }
}

prop_compose! {
    /// Rows, dimension, and random bits for as many numbers.
    fn matrix()(rows in 1_usize..40, dimension in 1_usize..70)(
        bits in prop::collection::vec(any::<u32>(), rows * dimension), rows in Just(rows), dimension in Just(dimension),
    ) -> (usize, usize, Vec<u32>) {
        (rows, dimension, bits)
    }
}

proptest! {
    /// Padding of 0 to 3 blanks leaves the data at every alignment.
    #[test]
    fn reads_back_f32(
        (rows, dimension, bits) in matrix(), block in 1_usize..50, version in 1_u8..4, blanks in 0_usize..4,
    ) {
        let data: Vec<u8> = bits.iter().flat_map(|value| value.to_le_bytes()).collect();
        let text = format!("{{'descr':'<f4','fortran_order':False,'shape':{}}}", shape(rows, dimension));
        let bytes = with_header(version, &(text + &" ".repeat(blanks)), &data);
        let read = read_all(&Features::from_bytes(bytes).unwrap(), block);
        let read: Vec<u32> = read.iter().map(|value| value.to_bits()).collect();
        prop_assert_eq!(read, bits);
    }

    #[test]
    fn reads_back_f16((rows, dimension, bits) in matrix(), block in 1_usize..50, blanks in 0_usize..2) {
        let values: Vec<f16> = bits.iter().map(|&value| f16::from_f32(f32::from_bits(value))).collect();
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let text = format!("{{'descr':'<f2','fortran_order':False,'shape':{}}}", shape(rows, dimension));
        let bytes = with_header(1, &(text + &" ".repeat(blanks)), &data);
        let read = read_all(&Features::from_bytes(bytes).unwrap(), block);
        for (read, value) in read.iter().zip(&values) {
            prop_assert!(*read == f32::from(*value) || read.is_nan() && value.is_nan());
        }
        prop_assert_eq!(read.len(), values.len());
    }

    #[test]
    fn survives_any_bytes(magic in any::<bool>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let start = if magic { &b"\x93NUMPY\x01\x00"[..] } else { b"" };
        survive([start, &bytes].concat());
    }

    #[test]
    fn survives_any_change(
        changes in prop::collection::vec((0_usize..160, any::<u8>()), 1..6), cut in 0_usize..170,
    ) {
        let mut bytes = npy(1, "<f2", "(4, 4)", &[1; 32]);
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(cut);
        survive(bytes);
    }

    /// The digits of the header are what may claim memory.
    #[test]
    fn survives_any_claim(version in 0_u8..5, item in any::<u64>(), rows in any::<u64>(), dimension in any::<u64>()) {
        let bytes = npy(version, &format!("<f{item}"), &format!("({rows}, {dimension})"), &[0; 64]);
        prop_assert!(Features::from_bytes(bytes).is_err());
    }
}

/// What is accepted has every number it claims, and no more are made of it than there are bytes.
fn survive(bytes: Vec<u8>) {
    let length = bytes.len();
    if let Ok(features) = Features::from_bytes(bytes) {
        let values = read_all(&features, 3);
        assert_eq!(values.len(), features.rows() * features.dimension());
        assert!(values.len() * features.dtype().bytes() < length);
    }
}
