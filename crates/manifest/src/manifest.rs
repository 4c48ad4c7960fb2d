//! A source, listed.

use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use blake3::Hash;

use crate::access::Access;
use crate::digest;
use crate::error::{ManifestError, ReadError};
use crate::files::Files;
use crate::format::{self, Format, Spool, Tables};
use crate::index::{Duplicate, Index, Spot};
use crate::listing::Listing;
use crate::place::Place;
use crate::sample::Sample;
use crate::source::{Kind, Source};

/// The ordered list of a dataset's samples, and the way to their bytes. Never empty; ids are unique.
///
/// The list lies in temporary files without a name, in the folder that [`AccessOptions`](crate::AccessOptions)
/// gives; in memory is what does not grow with the samples, and some 60 bytes per thousand of them.
#[derive(Debug)]
pub struct Manifest {
    source: Source,
    format: Format,
    kind: Kind,
    pub(crate) access: Access,
    pub(crate) files: Files,
    pub(crate) index: Index,
    unlabelled: Option<u64>,
    /// Members of compressed archives, unpacked.
    pub(crate) spool: Option<File>,
    /// Rows of Parquet files.
    pub(crate) tables: Tables,
}

impl Manifest {
    /// Lists `source`, whose format is found out where it is not given. No image is read; of a tar file, headers
    /// and labels are.
    ///
    /// `progress` is told the number of rows so far, every few thousand; when it breaks, the answer is
    /// [`ManifestError::Interrupted`].
    ///
    /// # Errors
    ///
    /// Whatever keeps the list from being complete and unambiguous. Files that rows name and that do not exist are
    /// no such error: [`read`](Self::read) reports them, one by one.
    pub fn open(
        source: &Source,
        access: &Access,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Self, ManifestError> {
        let access = match source.trusted {
            true => access.only_under(folder_of(&source.uri))?,
            false => access.clone(),
        };
        let inputs = format::resolve(source, &access)?;
        inputs.format.check_columns(source)?;
        let mut listing = Listing::new(source, &access, progress)?;
        for place in &inputs.places {
            match inputs.format.list(place, &mut listing) {
                Err(ManifestError::Interrupted) if listing.rows.repeats() => break,
                listed => listed?,
            }
        }
        let Listing {
            files,
            rows,
            kind,
            spool,
            ..
        } = listing;
        let (index, unlabelled, duplicate) = rows.finish()?;
        if index.rows() == 0 {
            return Err(ManifestError::Empty {
                place: crate::place::redacted(&source.uri),
            });
        }
        let manifest = Self {
            source: source.clone(),
            format: inputs.format,
            kind: kind.unwrap_or(Kind::Images),
            access,
            files,
            index,
            unlabelled,
            spool: spool.map(Spool::into_file),
            tables: Tables::default(),
        };
        match duplicate {
            None => Ok(manifest),
            Some(duplicate) => Err(manifest.duplicate(duplicate)?),
        }
    }

    /// How the source is laid out.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// What its samples' bytes are.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What was opened.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The number of samples, at least one.
    #[expect(clippy::len_without_is_empty, reason = "a manifest is never empty")]
    #[must_use]
    pub fn len(&self) -> u64 {
        self.index.rows()
    }

    /// The index of the first sample without a label.
    #[must_use]
    pub fn unlabelled(&self) -> Option<u64> {
        self.unlabelled
    }

    /// The samples of `range` that there are, in manifest order.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Scratch`] where the temporary list cannot be read.
    pub fn samples(&self, range: Range<u64>) -> Result<Vec<Sample>, ManifestError> {
        let range = range.start.min(self.len())..range.end.min(self.len());
        let mut samples = Vec::new();
        self.index.visit(range, &mut |sample| {
            samples.push(sample);
            Ok::<_, ManifestError>(())
        })?;
        Ok(samples)
    }

    /// The digest of the list as it stands now: ids, labels, places relative to the source, and of the files that
    /// hold the bytes what tells their states apart: size and time of modification where they are local, what the
    /// listing said where it said something. No image is read.
    ///
    /// A file changed, replaced or removed changes it, at the next call where the file is local; a file added
    /// changes it once the source is opened again. The cost is one look at each local file, and at a file of many
    /// samples only once.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Scratch`] where the temporary list cannot be read.
    pub fn fingerprint(&self) -> Result<Hash, ManifestError> {
        digest::fingerprint(self)
    }

    /// The bytes of the sample at `index`, at most
    /// [`max_sample_bytes`](crate::AccessOptions::max_sample_bytes); [`kind`](Self::kind) says what they are. Safe
    /// to call from many threads at once.
    ///
    /// # Errors
    ///
    /// See [`ReadError`]; the error names the sample and the file.
    pub fn read(&self, index: u64) -> Result<Vec<u8>, ReadError> {
        let sample = self.sample(index)?;
        self.read_sample(&sample)
    }

    /// The sample at `index`.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchSample`], or [`ReadError::Index`] where the temporary list cannot be read.
    pub fn sample(&self, index: u64) -> Result<Sample, ReadError> {
        let len = self.len();
        if index >= len {
            return Err(ReadError::NoSuchSample { index, len });
        }
        let sample = self.index.sample(index);
        sample.map_err(|source| ReadError::Index { index, source })
    }

    /// The error for two samples of one id.
    fn duplicate(&self, duplicate: Duplicate) -> Result<ManifestError, ManifestError> {
        let first = self.index.sample(duplicate.first)?;
        let second = self.index.sample(duplicate.second)?;
        Ok(ManifestError::DuplicateId {
            first: self.whereabouts(&first),
            second: self.whereabouts(&second),
            id: second.id.into(),
        })
    }

    /// The file that lists the sample, and the line, row or byte.
    fn whereabouts(&self, sample: &Sample) -> String {
        let file = self.files.get(sample.file);
        let file = file.map_or_else(String::new, |file| file.place.to_string());
        match &sample.spot {
            Spot::Member { offset, .. } => format!("{file} at byte {offset}"),
            Spot::Row { .. } | Spot::Assigned(_) => format!("{file} row {}", sample.line),
            Spot::Id | Spot::Path(_) | Spot::Range { .. } | Spot::Spooled { .. } => {
                match sample.line {
                    0 => file,
                    line => format!("{file} {} {line}", self.format.unit()),
                }
            }
        }
    }
}

/// The folder that a trusted source lies in.
fn folder_of(uri: &str) -> &Path {
    let path = Path::new(uri);
    path.parent().unwrap_or(path)
}

impl Sample {
    /// The file that holds the bytes, where the sample names one.
    pub(crate) fn place(&self, base: &Place) -> Result<Place, crate::AccessError> {
        match &self.spot {
            Spot::Id | Spot::Range { path: None, .. } => base.join(&self.id),
            Spot::Path(path)
            | Spot::Range {
                path: Some(path), ..
            } => base.join(path),
            Spot::Member { .. } | Spot::Spooled { .. } | Spot::Row { .. } | Spot::Assigned(_) => {
                Ok(base.clone())
            }
        }
    }
}
