//! The features that one model gave: appending, finding, reading, forgetting.

use super::{
    Found, Pack, PackOutline, Shared,
    format::{self, HEADER, Header},
    index::{self, FORGOTTEN, Index},
    names::{LAST_PACK, Names, forgotten_name, pack_name},
    packs::Packs,
};
use crate::{Counted, Digest, Result, StoreError, files, room::Room, unsynced::Unsynced};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// The features of one model. Clones share their state.
#[derive(Clone, Debug)]
pub struct FeatureSpace(Shared<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    dimension: usize,
    room: Room,
    unsynced: Unsynced,
    /// Number of the next pack. Held by whoever writes; readers do not wait for it.
    writer: Mutex<u64>,
    /// Written only for the moment in which something that is on disk becomes visible.
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    index: Index,
    packs: Packs,
}

impl FeatureSpace {
    pub(super) fn open(
        folder: PathBuf,
        dimension: usize,
        room: Room,
        unsynced: Unsynced,
    ) -> Result<Self> {
        if let Some(parent) = folder.parent() {
            files::create_folder(parent)?;
        }
        files::create_folder(&folder)?;
        files::remove_unfinished(&folder)?;
        let names = Names::read(&folder)?;
        let index = Index::open(&folder, names.runs.clone())?;
        let space = Self(Shared::new(Inner {
            folder,
            dimension,
            room,
            unsynced,
            writer: Mutex::new(names.next),
            state: RwLock::new(State {
                index,
                packs: names.packs.clone(),
            }),
        }));
        space.index_again(&names)?;
        Ok(space)
    }

    /// Length of a row.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.0.dimension
    }

    /// Where the features of each digest are; best asked for some thousand at a time. A failed sample
    /// is found too: its pack says that it failed.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn find(&self, digests: &[Digest]) -> Result<Vec<Option<Found>>> {
        let state = self.state();
        let mut places = state.index.find(digests)?;
        for place in &mut places {
            *place =
                place.filter(|place| place.row != FORGOTTEN && state.packs.contains(place.pack));
        }
        Ok(places)
    }

    /// Writes `pack` so that it is there completely or not at all, and then found. Its number is
    /// returned.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] and whatever the disk says; [`StoreError::Invalid`] when the rows do not
    /// fit the dimension, or are not 1 to 256.
    pub fn append(&self, pack: &Pack) -> Result<u64> {
        self.check(pack)?;
        let bytes = format::encode(pack);
        let mut writer = self.writer();
        let number = self.write(&mut writer, &bytes, pack_name)?;
        let rows = (0..).zip(&pack.digests);
        let mut state = self.state_mut();
        state.packs.insert(number);
        for (row, digest) in rows {
            state.index.insert(*digest, Found { pack: number, row });
        }
        drop(state);
        self.shrink(*writer)?;
        Ok(number)
    }

    /// Whether pack `number` is there.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.state().packs.contains(number)
    }

    /// Numbers of all packs, ascending.
    #[must_use]
    pub fn packs(&self) -> Vec<u64> {
        self.state().packs.iter().collect()
    }

    /// Reads and verifies pack `number`; `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the file fails its checksum.
    pub fn read(&self, number: u64) -> Result<Option<Pack>> {
        let path = self.path(number);
        let Some(bytes) = files::read_whole(&path, format::longest(self.0.dimension))? else {
            return Ok(None);
        };
        let damaged = |reason| StoreError::corrupt(path.display().to_string(), reason);
        let (pack, dimension) = format::decode(&bytes).map_err(damaged)?;
        match dimension == self.0.dimension {
            true => Ok(Some(pack)),
            false => Err(damaged("of another dimension")),
        }
    }

    /// Digests and failures of pack `number`, without reading its features.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the file is missing or its parts do not fit together; the checksum
    /// is not looked at.
    pub fn outline(&self, number: u64) -> Result<PackOutline> {
        let (path, mut file) = self.open_pack(number)?;
        outline(&path, &mut file, self.0.dimension)
    }

    /// Appends the features of some rows of pack `number` to `features`, without a look at the
    /// checksum: for a pack that [`FeatureSpace::read`] has verified.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the file is missing or ends before the rows do.
    pub fn read_rows(
        &self,
        number: u64,
        rows: Range<usize>,
        features: &mut Vec<f32>,
    ) -> Result<()> {
        let (path, mut file) = self.open_pack(number)?;
        let read = |error| files::read_error(&path, error);
        let mut header = [0; HEADER];
        file.read_exact(&mut header).map_err(read)?;
        let header = Header::parse(&header)
            .map_err(|reason| StoreError::corrupt(path.display().to_string(), reason))?;
        if header.dimension != self.0.dimension || rows.end > header.rows {
            let path = path.display().to_string();
            return Err(StoreError::corrupt(path, "has not these rows"));
        }
        let row = self.0.dimension * size_of::<f32>();
        let start = header.digests().end + rows.start * row;
        file.seek(SeekFrom::Start(start as u64)).map_err(read)?;
        let before = features.len();
        features.resize(before + rows.len() * self.0.dimension, 0.0);
        let added = &mut features[before..];
        file.read_exact(bytemuck::cast_slice_mut(added))
            .map_err(read)?;
        for value in added {
            *value = f32::from_bits(u32::from_le(value.to_bits()));
        }
        Ok(())
    }

    /// Removes pack `number`, so that its samples are extracted again: it is damaged, or nobody needs
    /// it. Its number is not used again.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn forget(&self, number: u64) -> Result<()> {
        let _writer = self.writer();
        // The index keeps entries that lead nowhere; they are not found, and go when runs merge.
        self.state_mut().packs.remove(number);
        files::remove_file(&self.path(number))?;
        Ok(())
    }

    /// Lets `digests` be found no more, durably, so that they are extracted again; their packs stay.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn forget_samples(&self, digests: &[Digest]) -> Result<()> {
        let mut writer = self.writer();
        for digests in digests.chunks(format::ROWS) {
            let pack = Pack {
                digests: digests.to_vec(),
                ..Pack::default()
            };
            let number = self.write(&mut writer, &format::encode(&pack), forgotten_name)?;
            let place = Found {
                pack: number,
                row: FORGOTTEN,
            };
            let mut state = self.state_mut();
            for digest in digests {
                state.index.insert(*digest, place);
            }
        }
        self.shrink(*writer)
    }

    /// Removes all packs but those in `needed`, and index entries that then lead nowhere; with
    /// `dry_run`, only counts both.
    pub(crate) fn remove_all_but(
        &self,
        needed: &Packs,
        dry_run: bool,
    ) -> Result<(Counted, Counted)> {
        let _writer = self.writer();
        let packs = self.state().packs.clone();
        let (mut removed, mut kept) = (Counted::default(), Packs::default());
        for number in packs.iter() {
            if needed.contains(number) {
                kept.insert(number);
                continue;
            }
            removed.add(files::file_bytes(&self.path(number))?);
            if !dry_run {
                self.state_mut().packs.remove(number);
                files::remove_file(&self.path(number))?;
            }
        }
        let stale = self.state().index.stale(&kept)?;
        if stale.count > 0 && !dry_run {
            let runs = self.state().index.runs().to_vec();
            let run = index::merge(&self.0.folder, &runs, &kept)?;
            self.state_mut().index.replace(runs.len(), run)?;
        }
        Ok((removed, stale))
    }

    fn check(&self, pack: &Pack) -> Result<()> {
        let rows = pack.digests.len();
        let fits = (1..=format::ROWS).contains(&rows)
            && pack.features.len() == rows * self.0.dimension
            && pack.failures.iter().all(|f| (f.row as usize) < rows);
        match fits {
            true => Ok(()),
            false => Err(StoreError::Invalid(
                "a pack has 1 to 256 rows of one dimension".to_owned(),
            )),
        }
    }

    /// Writes a file under the next number.
    fn write(&self, writer: &mut u64, bytes: &[u8], name: fn(u64) -> String) -> Result<u64> {
        let number = *writer;
        if number > LAST_PACK {
            return Err(StoreError::Invalid("too many packs".to_owned()));
        }
        self.0.room.check(bytes.len() as u64)?;
        // Even if this fails: the file may be there, and a number means one content for ever.
        *writer += 1;
        let folder = &self.0.folder;
        let path = folder.join(name(number));
        let mut file = files::NewFile::create(folder.join(files::UNFINISHED))?;
        file.write(bytes)?;
        file.publish_later(&path, &self.0.unsynced)?;
        Ok(number)
    }

    /// Turns a full memory into a run, and runs into longer ones.
    fn shrink(&self, next: u64) -> Result<()> {
        if !self.state().index.is_full() {
            return Ok(());
        }
        let run = self.state().index.write_recent(&self.0.folder, next)?;
        self.state_mut().index.take_recent(run);
        loop {
            let state = self.state();
            let count = state.index.mergeable();
            if count == 0 {
                return Ok(());
            }
            let (runs, packs) = (state.index.runs()[..count].to_vec(), state.packs.clone());
            drop(state);
            let run = index::merge(&self.0.folder, &runs, &packs)?;
            self.state_mut().index.replace(count, run)?;
        }
    }

    /// Enters the packs that no run covers.
    fn index_again(&self, names: &Names) -> Result<()> {
        let mut packs = names.packs.clone();
        names
            .forgotten
            .iter()
            .for_each(|number| packs.insert(number));
        let covered = self.state().index.covered();
        for number in packs.iter().filter(|number| *number >= covered) {
            let forgotten = names.forgotten.contains(number);
            let outline = match forgotten {
                true => self.outline_of(&self.0.folder.join(forgotten_name(number)), 0),
                false => self.outline_of(&self.path(number), self.0.dimension),
            };
            let digests = match outline {
                Ok(outline) => outline.digests,
                // Not found, so extracted again; `verify` tells.
                Err(StoreError::Corrupt { .. }) => continue,
                Err(error) => return Err(error),
            };
            let mut state = self.state_mut();
            for (row, digest) in (0..).zip(digests) {
                let row = if forgotten { FORGOTTEN } else { row };
                state.index.insert(digest, Found { pack: number, row });
            }
            drop(state);
            self.shrink(number + 1)?;
        }
        Ok(())
    }

    fn outline_of(&self, path: &Path, dimension: usize) -> Result<PackOutline> {
        let mut file = File::open(path).map_err(StoreError::io("open", path))?;
        outline(path, &mut file, dimension)
    }

    fn open_pack(&self, number: u64) -> Result<(PathBuf, File)> {
        let path = self.path(number);
        match files::open_if_there(&path)? {
            Some(file) => Ok((path, file)),
            None => Err(StoreError::corrupt(path.display().to_string(), "missing")),
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.0.folder.join(pack_name(number))
    }

    /// A panic leaves the number right: it grows before a file is written. So poison is ignored.
    fn writer(&self) -> MutexGuard<'_, u64> {
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn outline(path: &Path, file: &mut File, dimension: usize) -> Result<PackOutline> {
    let damaged = |reason| StoreError::corrupt(path.display().to_string(), reason);
    let read = |error| files::read_error(path, error);
    let length = file.metadata().map_err(read)?.len();
    let mut header = [0; HEADER];
    file.read_exact(&mut header).map_err(read)?;
    let header = Header::parse(&header).map_err(damaged)?;
    if header.dimension != dimension {
        return Err(damaged("of another dimension"));
    }
    let failures = header.failures(length).map_err(damaged)?;
    let mut digests = vec![0; header.digests().len()];
    file.read_exact(&mut digests).map_err(read)?;
    file.seek(SeekFrom::Start(failures.start)).map_err(read)?;
    let mut json = vec![0; (failures.end - failures.start) as usize];
    file.read_exact(&mut json).map_err(read)?;
    Ok(PackOutline {
        digests: format::parse_digests(&digests),
        failures: serde_json::from_slice(&json).map_err(|_| damaged("failures are not JSON"))?,
    })
}
