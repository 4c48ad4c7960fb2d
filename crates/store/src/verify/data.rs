//! Verifies the files: columns, samples, packs and their index.

use super::{Step, Verifier};
use crate::{
    Column, Digest, Result, SAMPLES_PER_CHUNK, features, files,
    push::{self, Depth, PushError},
    sample::{chunk_name, chunk_number},
};
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

impl Verifier<'_> {
    /// Every chunk of every column, also of versions that are not there.
    pub(super) fn columns(&mut self) -> Step {
        let mut buffer = Vec::new();
        for (version, folder) in self.folders("columns")? {
            for column in Column::ALL {
                let path = folder.join(column.name());
                let bytes = files::file_bytes(&path)?;
                if bytes == 0 && !path.exists() {
                    continue;
                }
                self.found.columns.add(bytes);
                if let Err(error) = self.column(version, column, &mut buffer) {
                    match error {
                        super::Interruption::Failed(error) => self.note(error)?,
                        stopped @ super::Interruption::Stopped(_) => return Err(stopped),
                    }
                }
            }
        }
        Ok(())
    }

    fn column(&mut self, version: Digest, column: Column, buffer: &mut Vec<u8>) -> Step {
        let file = self.store.open_column(version, column)?;
        for chunk in 0..file.chunks() {
            file.chunk(chunk, buffer)?;
            self.report()?;
        }
        Ok(())
    }

    /// Every chunk of samples; and how many samples each listing has.
    pub(super) fn samples(&mut self) -> Step {
        self.activity = "samples";
        for (listing, folder) in self.folders("samples")? {
            for name in files::names(&folder)? {
                let name = name?;
                if chunk_number(&name).is_none() {
                    self.damage(folder.join(name).display().to_string(), foreign());
                }
            }
            let mut whole = Some(0);
            for chunk in self.store.sample_chunks(listing)? {
                let samples = self.sample_chunk(listing, &folder, chunk)?;
                // Complete up to here: every chunk before was there, and full.
                let before = whole.filter(|before| *before == chunk * SAMPLES_PER_CHUNK);
                whole = before
                    .zip(samples)
                    .map(|(before, samples)| before + samples);
            }
            self.listings.insert(listing, whole.unwrap_or(0));
        }
        Ok(())
    }

    /// The number of samples in a chunk; `None` when it is damaged.
    fn sample_chunk(&mut self, listing: Digest, folder: &Path, chunk: u64) -> Step<Option<u64>> {
        let bytes = files::file_bytes(&folder.join(chunk_name(chunk)))?;
        self.found.sample_chunks.add(bytes);
        let samples = match self.store.sample_chunk(listing, chunk) {
            Ok(samples) => samples.map(|samples| samples.len() as u64),
            Err(error) => {
                self.note(error)?;
                None
            }
        };
        self.report()?;
        Ok(samples)
    }

    /// Every pack, and every entry of the indices.
    pub(super) fn features(&mut self) -> Step {
        self.activity = "features";
        for (_, folder) in self.folders("features")? {
            let mut dimension = None;
            for name in files::names(&folder)? {
                let name = name?;
                let path = folder.join(&name);
                if features::is_run(&name) {
                    self.run_of_index(&path)?;
                } else if features::is_pack(&name) {
                    self.pack(&path, &mut dimension)?;
                } else if !name.starts_with(files::UNFINISHED) {
                    self.damage(path.display().to_string(), foreign());
                }
                self.report()?;
            }
        }
        Ok(())
    }

    fn pack(&mut self, path: &Path, dimension: &mut Option<usize>) -> Result<()> {
        self.found.packs.add(files::file_bytes(path)?);
        match features::verify_pack(path) {
            // Without features when it lists what was forgotten.
            Ok(Some(found)) if *dimension.get_or_insert(found) != found => {
                self.damage(
                    path.display().to_string(),
                    "of another dimension".to_owned(),
                );
            }
            Ok(_) => {}
            Err(error) => self.note(error)?,
        }
        Ok(())
    }

    fn run_of_index(&mut self, path: &Path) -> Result<()> {
        match features::verify_run(path) {
            Ok((entries, damaged)) => {
                self.found.index_entries.count += entries;
                self.found.index_entries.bytes += files::file_bytes(path)?;
                if damaged > 0 {
                    let reason = format!("{damaged} of {entries} entries are damaged");
                    self.damage(path.display().to_string(), reason);
                }
            }
            Err(error) => self.note(error)?,
        }
        Ok(())
    }

    /// What is durable of every push.
    pub(super) fn pushes(&mut self) -> Step {
        self.activity = "pushed samples";
        let parent = self.store.root().join("pushed");
        let mut names: Vec<_> = files::names(&parent)?.collect::<Result<_>>()?;
        names.sort_unstable();
        for name in names {
            if let Err(error) = self.push(&parent.join(&name), &name)? {
                match error {
                    PushError::Store(error) => self.note(error)?,
                    other => self.damage(format!("push {name}"), other.to_string()),
                }
            }
            self.report()?;
        }
        Ok(())
    }

    fn push(&mut self, folder: &Path, name: &str) -> Step<std::result::Result<(), PushError>> {
        let state = match push::read_state(folder, name) {
            Ok(Some(state)) => state,
            // Killed before it began.
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        };
        let before = self.found.pushes.bytes;
        self.found.pushes.count += 1;
        let mut stopped = Ok(());
        let verified = push::verify(folder, &state, Depth::Everything, &mut |bytes| {
            self.found.pushes.bytes = before + bytes;
            stopped = self.report();
            match stopped {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        stopped?;
        Ok(verified.map(|_| ()))
    }

    /// Folders named by digests, in order.
    fn folders(&mut self, parent: &str) -> Result<Vec<(Digest, PathBuf)>> {
        let parent = self.store.root().join(parent);
        let mut folders = Vec::new();
        for name in files::names(&parent)? {
            let name = name?;
            match name.parse() {
                Ok(digest) => folders.push((digest, parent.join(name))),
                Err(_) if name.starts_with(files::UNFINISHED) => {}
                Err(_) => self.damage(parent.join(name).display().to_string(), foreign()),
            }
        }
        folders.sort_unstable_by_key(|(digest, _)| *digest);
        Ok(folders)
    }
}

fn foreign() -> String {
    "does not belong here".to_owned()
}
