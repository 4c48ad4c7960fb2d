//! A run: the index entries of consecutive packs, sorted by digest, in one file that never changes.
//!
//! ```text
//! header    magic, first pack u64, end u64, entries u64
//! entries   44 bytes each: digest, pack u32, row u16, check: 6 bytes of a BLAKE3 of what is before
//! fences    the first 8 bytes of every 128th digest, big endian
//! checksum  BLAKE3 of header and fences
//! ```
//!
//! Only the fences are kept in memory: 8 bytes for 128 samples. A look-up reads one block of entries
//! and verifies the entry that it takes; damage elsewhere can at worst hide a digest, whose sample is
//! then extracted again.

use super::{
    Found,
    index::{Entry, FORGOTTEN},
};
use crate::{Digest, Result, StoreError, files};
use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Entries per fence.
const BLOCK: usize = 128;

/// Bytes of an entry.
pub(super) const ENTRY: usize = 44;

const MAGIC: &[u8; 8] = b"CURINDX1";
const HEADER: usize = 32;
const CHECKSUM: usize = 32;

#[derive(Debug)]
pub(super) struct Run {
    path: PathBuf,
    file: File,
    /// Packs `from..to` are covered.
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) entries: u64,
    fences: Vec<u64>,
}

impl Run {
    /// Name of the run over packs `from..to`.
    pub(super) fn name(from: u64, to: u64) -> String {
        format!("index-{from:08}-{to:08}.run")
    }

    /// The packs that a run of this name covers.
    pub(super) fn parse_name(name: &str) -> Option<(u64, u64)> {
        let (from, to) = name
            .strip_prefix("index-")?
            .strip_suffix(".run")?
            .split_once('-')?;
        Some((from.parse().ok()?, to.parse().ok()?)).filter(|(from, to)| from < to)
    }

    /// Writes a run of `entries`, ascending and distinct, over packs `from..to`.
    pub(super) fn write(
        folder: &Path,
        (from, to): (u64, u64),
        entries: impl Iterator<Item = Result<Entry>>,
    ) -> Result<Self> {
        let temporary = folder.join(format!("{}-index", files::UNFINISHED));
        let mut file = files::NewFile::create(temporary)?;
        let mut fences = Vec::new();
        let mut buffer = header(from, to, 0).to_vec();
        let mut count = 0u64;
        for entry in entries {
            let entry = entry?;
            if count.is_multiple_of(BLOCK as u64) {
                fences.push(prefix(&entry.digest));
            }
            buffer.extend_from_slice(&encode(&entry));
            count += 1;
            if buffer.len() >= 1 << 18 {
                file.write(&buffer)?;
                buffer.clear();
            }
        }
        let header = header(from, to, count);
        let mut tail: Vec<u8> = fences
            .iter()
            .flat_map(|fence| fence.to_be_bytes())
            .collect();
        tail.extend_from_slice(&checksum(&header, &tail));
        file.write(&buffer)?;
        file.write(&tail)?;
        file.write_at_start(&header)?;
        let path = folder.join(Self::name(from, to));
        file.publish(&path)?;
        let file = File::open(&path).map_err(StoreError::io("open", &path))?;
        Ok(Self {
            path,
            file,
            from,
            to,
            entries: count,
            fences,
        })
    }

    /// Opens the run at `path`, of which header and fences are verified.
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let mut file = File::open(&path).map_err(StoreError::io("open", &path))?;
        let damaged = |reason| StoreError::corrupt(path.display().to_string(), reason);
        let read = |error| files::read_error(&path, error);
        let length = file.metadata().map_err(read)?.len();
        let mut header = [0; HEADER];
        file.read_exact(&mut header).map_err(read)?;
        let (magic, numbers) = header.split_at(MAGIC.len());
        let numbers = numbers.as_chunks::<8>().0.iter();
        let numbers: Vec<u64> = numbers.map(|n| u64::from_le_bytes(*n)).collect();
        let [from, to, entries] = numbers[..] else {
            return Err(damaged("wrong header"));
        };
        let blocks = entries.div_ceil(BLOCK as u64);
        let start = entries
            .checked_mul(ENTRY as u64)
            .and_then(|n| n.checked_add(HEADER as u64));
        let end = start.and_then(|start| start.checked_add(blocks * 8 + CHECKSUM as u64));
        let (Some(start), true) = (start, end == Some(length) && magic == MAGIC) else {
            return Err(damaged("wrong header"));
        };
        file.seek(SeekFrom::Start(start)).map_err(read)?;
        let mut tail = vec![0; (length - start) as usize];
        file.read_exact(&mut tail).map_err(read)?;
        let (fences, stored) = tail.split_at(tail.len() - CHECKSUM);
        if checksum(&header, fences) != stored {
            return Err(damaged("checksum mismatch"));
        }
        let fences = fences.as_chunks::<8>().0.iter();
        let fences = fences.map(|fence| u64::from_be_bytes(*fence)).collect();
        Ok(Self {
            path,
            file,
            from,
            to,
            entries,
            fences,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks up `wanted`, ascending, and gives each that is here to `found`.
    pub(super) fn find(
        &self,
        wanted: &mut dyn Iterator<Item = (usize, &Digest)>,
        found: &mut dyn FnMut(usize, Found),
    ) -> Result<()> {
        let mut loaded = (usize::MAX, Vec::new());
        for (number, digest) in wanted {
            let wanted = prefix(digest);
            // Fences equal to the prefix may continue its block; the block before may end in it.
            let end = self.fences.partition_point(|fence| *fence <= wanted);
            let first = self.fences.partition_point(|fence| *fence < wanted);
            for block in first.saturating_sub(1)..end {
                if loaded.0 != block {
                    self.read_block(block, &mut loaded.1)?;
                    loaded.0 = block;
                }
                let entries = loaded.1.as_chunks::<ENTRY>().0;
                let at = entries.binary_search_by(|entry| entry[..32].cmp(digest.as_bytes()));
                if let Some(entry) = at.ok().and_then(|at| decode(&entries[at])) {
                    found(number, entry.place);
                    break;
                }
            }
        }
        Ok(())
    }

    fn read_block(&self, block: usize, bytes: &mut Vec<u8>) -> Result<()> {
        let first = (block * BLOCK) as u64;
        let entries = (self.entries - first).min(BLOCK as u64) as usize;
        bytes.resize(entries * ENTRY, 0);
        let at = HEADER as u64 + first * ENTRY as u64;
        self.file
            .read_exact_at(bytes, at)
            .map_err(|error| files::read_error(&self.path, error))
    }

    /// All entries, ascending. Damaged ones are left out, and counted in `damaged`.
    pub(super) fn entries<'a>(
        &'a self,
        damaged: &'a mut u64,
    ) -> Result<impl Iterator<Item = Result<Entry>> + 'a> {
        let mut file = File::open(&self.path).map_err(StoreError::io("open", &self.path))?;
        file.seek(SeekFrom::Start(HEADER as u64))
            .map_err(StoreError::io("read", &self.path))?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut left = self.entries;
        let mut last = None;
        Ok(std::iter::from_fn(move || {
            while left > 0 {
                left -= 1;
                let mut bytes = [0; ENTRY];
                if let Err(error) = reader.read_exact(&mut bytes) {
                    left = 0;
                    return Some(Err(files::read_error(&self.path, error)));
                }
                match decode(&bytes) {
                    Some(entry) if last.is_none_or(|last| last < entry.digest) => {
                        last = Some(entry.digest);
                        return Some(Ok(entry));
                    }
                    _ => *damaged += 1,
                }
            }
            None
        }))
    }
}

fn header(from: u64, to: u64, entries: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    for (place, number) in header[8..]
        .as_chunks_mut::<8>()
        .0
        .iter_mut()
        .zip([from, to, entries])
    {
        *place = number.to_le_bytes();
    }
    header
}

fn checksum(header: &[u8], fences: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header).update(fences);
    *hasher.finalize().as_bytes()
}

fn prefix(digest: &Digest) -> u64 {
    digest
        .as_bytes()
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn encode(entry: &Entry) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    let row = match entry.place.row {
        FORGOTTEN => u16::MAX,
        row => row as u16,
    };
    bytes[..32].copy_from_slice(entry.digest.as_bytes());
    bytes[32..36].copy_from_slice(&(entry.place.pack as u32).to_le_bytes());
    bytes[36..38].copy_from_slice(&row.to_le_bytes());
    let check = blake3::hash(&bytes[..38]);
    bytes[38..].copy_from_slice(&check.as_bytes()[..6]);
    bytes
}

/// `None` when the entry is damaged.
fn decode(bytes: &[u8; ENTRY]) -> Option<Entry> {
    let (content, check) = bytes.split_at(38);
    if blake3::hash(content).as_bytes()[..6] != *check {
        return None;
    }
    let row = u16::from_le_bytes(*content[36..].first_chunk()?);
    let place = Found {
        pack: u64::from(u32::from_le_bytes(*content[32..].first_chunk()?)),
        row: match row {
            u16::MAX => FORGOTTEN,
            row => u32::from(row),
        },
    };
    Some(Entry {
        digest: Digest::from(*content.first_chunk()?),
        place,
    })
}
