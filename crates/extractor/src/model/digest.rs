//! The identity of a model: all that features depend on.

use super::{Interpolation, ModelEntry, Preprocessing};

/// Every variable-length part is preceded by its length, so that no two models share an encoding.
pub(super) fn digest(entry: &ModelEntry, onnx: &[u8]) -> [u8; 32] {
    let Preprocessing {
        resize,
        crop,
        interpolation,
        mean,
        std,
        scaled_decoding,
    } = &entry.preprocessing;
    let mut hasher = blake3::Hasher::new_derive_key("curriculum model v2");
    for part in [onnx, entry.input.as_bytes(), entry.output.as_bytes()] {
        hasher
            .update(&(part.len() as u64).to_le_bytes())
            .update(part);
    }
    hasher
        .update(&resize.to_le_bytes())
        .update(&crop.to_le_bytes());
    hasher.update(match interpolation {
        Interpolation::Bicubic => &[0],
        Interpolation::Bilinear => &[1],
    });
    for value in mean.iter().chain(std) {
        hasher.update(&value.to_le_bytes());
    }
    hasher.update(&[
        entry.layout as u8,
        entry.tokens as u8,
        u8::from(*scaled_decoding),
    ]);
    hasher.update(&entry.prefix_tokens.to_le_bytes());
    *hasher.finalize().as_bytes()
}
