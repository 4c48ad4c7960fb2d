//! Packs that hold no needed sample.

use super::{Sweep, digest_folders};
use crate::{Counted, Digest, Result, features::Packs, files};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    path::Path,
};

/// Digests that are looked up at a time: the look-ups of some chunks of samples share what they read.
const BATCH: usize = 1 << 16;

/// A space with something needed in it: model and dimension.
type Space = (Digest, u32);

impl Sweep<'_> {
    /// Marks in every space before anything is removed in one.
    pub(super) fn features(&mut self) -> Result<ControlFlow<()>> {
        let mut marked: BTreeMap<Space, Packs> = BTreeMap::new();
        for (model, dimension, listing) in self.needed.features.clone() {
            let packs = marked.entry((model, dimension)).or_default();
            if self.mark((model, dimension), listing, packs)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let models: BTreeSet<Digest> = marked.keys().map(|(model, _)| *model).collect();
        for ((model, dimension), needed) in marked {
            if self.store.space_folder(model).exists() {
                let space = self.store.feature_space(model, dimension as usize)?;
                let (packs, entries) = space.remove_all_but(&needed, self.dry_run)?;
                self.found.packs.merge(packs);
                self.found.index_entries.merge(entries);
            }
            if (self.proceed)().is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        for (model, folder) in digest_folders(self.store, "features")? {
            if !models.contains(&model) {
                self.whole_space(model, &folder)?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Marks the packs that hold samples of a listing.
    fn mark(
        &mut self,
        (model, dimension): Space,
        listing: Digest,
        packs: &mut Packs,
    ) -> Result<ControlFlow<()>> {
        if !self.store.space_folder(model).exists() {
            return Ok(ControlFlow::Continue(()));
        }
        let space = self.store.feature_space(model, dimension as usize)?;
        let mut digests = Vec::new();
        for chunk in self.store.sample_chunks(listing)? {
            let samples = self.store.sample_chunk(listing, chunk)?;
            digests.extend(samples.into_iter().flatten().filter_map(|s| s.digest));
            if digests.len() >= BATCH {
                let found = space.find(&digests)?;
                found.iter().flatten().for_each(|f| packs.insert(f.pack));
                digests.clear();
                if (self.proceed)().is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        let found = space.find(&digests)?;
        found.iter().flatten().for_each(|f| packs.insert(f.pack));
        Ok(ControlFlow::Continue(()))
    }

    /// A model that nothing needs.
    fn whole_space(&mut self, model: Digest, folder: &Path) -> Result<()> {
        for name in files::names(folder)? {
            let name = name?;
            let bytes = files::file_bytes(&folder.join(&name))?;
            if crate::features::is_run(&name) {
                self.found.index_entries.merge(Counted {
                    count: crate::features::run_entries(&folder.join(&name)),
                    bytes,
                });
            } else {
                self.found.packs.add(bytes);
            }
        }
        if !self.dry_run {
            self.store.close_space(model);
            files::remove_folder(folder)?;
        }
        Ok(())
    }
}
