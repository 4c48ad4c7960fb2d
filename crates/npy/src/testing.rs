//! Files for the tests, byte by byte.

/// A file in C order. The header is padded with blanks and ends at a multiple of 64 bytes, as NumPy writes it.
pub(crate) fn npy(version: u8, descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let before = if version == 1 { 10 } else { 12 };
    let blanks = 63 - (before + text.len()) % 64;
    with_header(version, &format!("{text}{}\n", " ".repeat(blanks)), data)
}

/// A file with this header text and no padding.
pub(crate) fn with_header(version: u8, text: &str, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    let length = if version == 1 {
        &length[..2]
    } else {
        &length[..]
    };
    [
        b"\x93NUMPY",
        &[version, 0][..],
        length,
        text.as_bytes(),
        data,
    ]
    .concat()
}
