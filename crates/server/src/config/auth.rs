//! Who may call.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Who may call: files of keys, read again when they change. None set: everyone. With any of them, every
/// call but health checks needs a key.
///
/// A key a line, of 16 to 512 printable characters without spaces; `#` begins a comment. All keys of a
/// file are valid at once, so that a new one can be given out before the old one goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Keys that may call `CurriculumService`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_keys_file: Option<PathBuf>,
    /// Keys that may call everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_keys_file: Option<PathBuf>,
    /// Keys that may read some curricula: after the key, names in which `*` stands for any characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curriculum_keys_file: Option<PathBuf>,
}

impl Auth {
    /// Whether calls need a key.
    #[must_use]
    pub fn is_on(&self) -> bool {
        let files = [
            &self.read_keys_file,
            &self.write_keys_file,
            &self.curriculum_keys_file,
        ];
        files.into_iter().any(Option::is_some)
    }
}
