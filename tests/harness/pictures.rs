//! Files of some kilobytes that are, or say that they are, pictures of gigabytes.

use flate2::{Compression, Crc, write::ZlibEncoder};
use image::{RgbImage, codecs::jpeg::JpegEncoder};
use std::io::Write;

/// A side that every format can express, WebP apart.
const SIDE: u16 = 60_000;

/// One of each format.
#[must_use]
pub fn bombs() -> Vec<Vec<u8>> {
    let side = u32::from(SIDE);
    vec![
        png(side, &[0; 64]),
        // Really there: 400 MB of black.
        png(20_000, &vec![0; 20_001 * 20_000]),
        jpeg(),
        gif(),
        bmp(),
        webp(),
        format!("P6\n{side} {side}\n255\n").into_bytes(),
        npy(),
    ]
}

/// Grey, a side of `side`, with these rows, each behind the number of its filter.
fn png(side: u32, rows: &[u8]) -> Vec<u8> {
    let mut header = [side.to_be_bytes(), side.to_be_bytes()].concat();
    header.extend([8, 0, 0, 0, 0]);
    let mut data = ZlibEncoder::new(Vec::new(), Compression::fast());
    data.write_all(rows).unwrap();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let chunks = [
        (b"IHDR", header),
        (b"IDAT", data.finish().unwrap()),
        (b"IEND", vec![]),
    ];
    for (kind, data) in chunks {
        let mut crc = Crc::new();
        crc.update(kind);
        crc.update(&data);
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(kind);
        bytes.extend(data);
        bytes.extend(crc.sum().to_be_bytes());
    }
    bytes
}

/// A small picture whose frame says otherwise.
fn jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = RgbImage::new(16, 16);
    picture
        .write_with_encoder(JpegEncoder::new(&mut bytes))
        .unwrap();
    let frame = bytes
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    for at in [5, 7] {
        bytes[frame + at..frame + at + 2].copy_from_slice(&SIDE.to_be_bytes());
    }
    bytes
}

fn gif() -> Vec<u8> {
    let size = [SIDE.to_le_bytes(), SIDE.to_le_bytes()].concat();
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend(&size);
    // Two colours, then one image as large as the screen, in which nothing is said.
    bytes.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255, 0x2c, 0, 0, 0, 0]);
    bytes.extend(&size);
    bytes.extend([0, 2, 2, 0x44, 0x01, 0, 0x3b]);
    bytes
}

fn bmp() -> Vec<u8> {
    let side = u32::from(SIDE).to_le_bytes();
    let mut bytes = b"BM".to_vec();
    bytes.extend(
        [
            [70, 0, 0, 0],
            [0; 4],
            [54, 0, 0, 0],
            [40, 0, 0, 0],
            side,
            side,
        ]
        .concat(),
    );
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0; 24 + 16]);
    bytes
}

/// 16,384 pixels a side, the most: width and height less one in 14 bits each.
fn webp() -> Vec<u8> {
    let mut data = vec![0x2f];
    data.extend(0x0fff_ffff_u32.to_le_bytes());
    data.extend([0; 11]);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((12 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WEBPVP8L");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn npy() -> Vec<u8> {
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': (3, {SIDE}, {SIDE}), }}");
    let header = format!("{header:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.into_bytes());
    bytes.extend([0; 64]);
    bytes
}
