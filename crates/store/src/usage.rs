//! How much there is.

use crate::{Result, Store};
use std::{fs, path::Path};

/// What is counted apart, and its folders.
const KINDS: [(&str, &str); 5] = [
    ("records", "db"),
    ("columns", "columns"),
    ("samples", "samples"),
    ("features", "features"),
    ("pushed", "pushed"),
];

impl Store {
    /// Bytes of the files of each kind: `records`, `columns`, `samples`, `features` and `pushed`. Looks at
    /// every file; those that go meanwhile do not count.
    #[must_use]
    pub fn usage(&self) -> [(&'static str, u64); 5] {
        KINDS.map(|(kind, folder)| (kind, bytes(&self.root().join(folder))))
    }

    /// Bytes that this process may still write to the file system of the data folder.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn free_bytes(&self) -> Result<u64> {
        self.room().free()
    }
}

fn bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

#[cfg(test)]
mod tests {
    use crate::{Column, Digest, store::temporary};

    #[test]
    fn files_are_counted_by_kind() {
        let (store, _folder) = temporary();
        let of = |kind| {
            let usage = store.usage();
            usage.into_iter().find(|(name, _)| *name == kind).unwrap().1
        };
        let before = of("columns");
        let values = [[0; 4]; 1_000].into_iter();
        store
            .put_column(Digest::from([1; 32]), Column::Difficulty, values)
            .unwrap();
        let grown = of("columns") - before;
        assert!((4_000..8_000).contains(&grown), "{grown}");
        assert!(of("records") > 0 && of("features") == 0);
        assert!(store.free_bytes().unwrap() > 0);
    }
}
