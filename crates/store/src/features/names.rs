//! The files of a folder of features, by their names.

use super::{packs::Packs, run::Run};
use crate::{Result, files};
use std::path::Path;

/// Numbers are stored in four bytes.
pub(super) const LAST_PACK: u64 = u32::MAX as u64 - 1;

/// What the names in a folder say.
#[derive(Default)]
pub(super) struct Names {
    pub(super) packs: Packs,
    pub(super) forgotten: Packs,
    pub(super) runs: Vec<(u64, u64)>,
    /// One more than the highest number in any name.
    pub(super) next: u64,
}

impl Names {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut found = Self::default();
        for name in files::names(folder)? {
            let name = name?;
            let end = if let Some(number) = number(&name, ".features") {
                found.packs.insert(number);
                number + 1
            } else if let Some(number) = number(&name, ".forgotten") {
                found.forgotten.insert(number);
                number + 1
            } else if let Some((from, to)) = Run::parse_name(&name) {
                found.runs.push((from, to));
                to
            } else {
                0
            };
            found.next = found.next.max(end);
        }
        Ok(found)
    }
}

/// The number in the name of a pack.
pub(super) fn number(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_prefix("pack-")?.strip_suffix(extension)?;
    let number = digits.parse().ok()?;
    (number <= LAST_PACK && format!("{number:08}") == digits).then_some(number)
}

pub(super) fn pack_name(number: u64) -> String {
    format!("pack-{number:08}.features")
}

pub(super) fn forgotten_name(number: u64) -> String {
    format!("pack-{number:08}.forgotten")
}
