//! Type strings: byte order, kind and size, such as `<f4`.

use crate::error::NpyProblem;

/// The most characters of a file's type string that enter an error.
const SHOWN: usize = 80;

/// A little-endian type of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dtype {
    /// `f`, `i`, `u`, `b`, `S`, `U` and others.
    pub(crate) kind: u8,
    /// In bytes, except for `U`, where it is in characters of four bytes.
    pub(crate) size: u64,
}

impl Dtype {
    /// The type that `descr` names; `advice` enters the error where it is none that can be read.
    pub(crate) fn parse(descr: &str, advice: &'static str) -> Result<Self, NpyProblem> {
        let dtype = shown(descr);
        let &[order, kind, ref size @ ..] = descr.as_bytes() else {
            return Err(NpyProblem::UnsupportedDtype { dtype, advice });
        };
        if kind == b'O' {
            return Err(NpyProblem::PickledObjects { advice });
        }
        // Digits only: `parse` alone would take a sign.
        let digits = size.iter().all(u8::is_ascii_digit);
        let size = std::str::from_utf8(size).unwrap_or_default().parse().ok();
        match (order, size) {
            (b'<' | b'|', Some(size)) if digits => Ok(Self { kind, size }),
            (b'>', Some(1)) if digits => Ok(Self { kind, size: 1 }),
            (b'>', Some(_)) if digits => Err(NpyProblem::BigEndian { dtype, advice }),
            _ => Err(NpyProblem::UnsupportedDtype { dtype, advice }),
        }
    }
}

/// `descr` without what a terminal would act upon, and not at any length.
pub(crate) fn shown(descr: &str) -> String {
    let harmless = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = descr.chars().take(SHOWN).map(harmless).collect();
    if descr.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
