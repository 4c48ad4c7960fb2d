//! The `.npz` format: a zip archive with one `.npy` file per array.

use super::{Item, Output, npy::write_items};
use crate::exit::BadInput;
use curriculum_npy::header;
use ndarray::{ArrayView1, ArrayView2};
use ndarray_npy::{ViewElement, ViewNpyError, ViewNpyExt};
use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};
use zip::{
    CompressionMethod, DateTime, ZipArchive, ZipWriter, result::ZipError, write::SimpleFileOptions,
};

/// The longest `.npy` header that is parsed, in bytes; a plain vector's has about 120.
const MAX_HEADER: usize = 512;

/// An archive that is being written, uncompressed: difficulties do not compress.
pub(crate) struct NpzWriter {
    archive: ZipWriter<BufWriter<File>>,
    output: Output,
}

impl NpzWriter {
    /// # Errors
    /// [`BadInput`] when nothing can be written there.
    pub(crate) fn create(path: &Path) -> Result<Self, BadInput> {
        let output = Output::create(path)?;
        Ok(Self {
            archive: ZipWriter::new(output.writer()?),
            output,
        })
    }

    /// Adds an array of as many items as its shape says.
    ///
    /// # Errors
    /// [`BadInput`] when it cannot be written.
    pub(crate) fn add<T: Item>(
        &mut self,
        name: &str,
        shape: &[usize],
        items: impl Iterator<Item = T>,
    ) -> Result<(), BadInput> {
        let bytes = shape.iter().product::<usize>() * size_of::<T>();
        self.start(name, T::DESCR, shape, bytes)?;
        write_items(&mut self.archive, items).map_err(|error| self.output.failed(&error))
    }

    /// Adds a vector of texts, each of at most `width` characters, which NumPy pads with zeros.
    ///
    /// # Errors
    /// [`BadInput`] when it cannot be written.
    pub(crate) fn add_texts<'a>(
        &mut self,
        name: &str,
        width: usize,
        texts: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<(), BadInput> {
        let width = width.max(1);
        let bytes = texts.len() * width * size_of::<char>();
        self.start(name, &format!("<U{width}"), &[texts.len()], bytes)?;
        let padded = texts.flat_map(|text| {
            let characters = text.chars().map(u32::from);
            characters.chain(std::iter::repeat(0)).take(width)
        });
        write_items(&mut self.archive, padded).map_err(|error| self.output.failed(&error))
    }

    /// Completes the archive and puts it in its place.
    ///
    /// # Errors
    /// [`BadInput`] when it cannot be written.
    pub(crate) fn finish(self) -> Result<(), BadInput> {
        let Self { archive, output } = self;
        let mut file = archive.finish().map_err(|error| output.failed(&error))?;
        file.flush().map_err(|error| output.failed(&error))?;
        output.commit()
    }

    fn start(
        &mut self,
        name: &str,
        descr: &str,
        shape: &[usize],
        bytes: usize,
    ) -> Result<(), BadInput> {
        let header = header(descr, shape);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            // Equal content, equal bytes, whenever it is written.
            .last_modified_time(DateTime::default())
            .large_file(bytes + header.len() >= u32::MAX as usize);
        let started = self.archive.start_file(format!("{name}.npy"), options);
        started.map_err(|error| self.output.failed(&error))?;
        let written = self.archive.write_all(&header);
        written.map_err(|error| self.output.failed(&error))
    }
}

/// An archive of whatever origin.
pub(crate) struct NpzReader {
    archive: ZipArchive<BufReader<File>>,
    path: PathBuf,
    /// Length of the file, in bytes.
    length: u64,
}

impl NpzReader {
    /// # Errors
    /// [`BadInput`] when there is no such file, or it is no zip archive.
    pub(crate) fn open(path: &Path) -> Result<Self, BadInput> {
        let refused =
            |error: &dyn std::fmt::Display| BadInput(format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(|error| refused(&error))?;
        let length = file.metadata().map_err(|error| refused(&error))?.len();
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|error| {
            refused(&format_args!("not an .npz archive, or truncated: {error}"))
        })?;
        Ok(Self {
            archive,
            path: path.to_owned(),
            length,
        })
    }

    /// The vector of this name, of which at least one item is there.
    ///
    /// # Errors
    /// [`BadInput`], naming file and array, when it is missing, damaged, or of another type or rank.
    pub(crate) fn vector<T: Item + ViewElement>(&mut self, name: &str) -> Result<Vec<T>, BadInput> {
        let bytes = self.read(name)?;
        let vector = view::<T>(&bytes).map_err(|reason| self.refused(name, &reason))?;
        if vector.is_empty() {
            return Err(self.refused(name, &"it is empty"));
        }
        Ok(vector.to_vec())
    }

    /// What is wrong with an array of this archive.
    pub(crate) fn refused(&self, name: &str, reason: &dyn std::fmt::Display) -> BadInput {
        let path = self.path.display();
        BadInput(format!("{path}: array `{name}`: {reason}"))
    }

    /// The `.npy` file of this name, its checksum verified.
    fn read(&mut self, name: &str) -> Result<Vec<u8>, BadInput> {
        let length = self.length;
        let entry = format!("{name}.npy");
        let read = self.archive.by_name(&entry).map_err(|error| match error {
            ZipError::FileNotFound => "it is missing".to_owned(),
            other => other.to_string(),
        });
        let read = read.and_then(|mut entry| {
            // What a header claims is not allocated, only what the file can hold uncompressed.
            let mut bytes = Vec::with_capacity(entry.size().min(length) as usize);
            match entry.read_to_end(&mut bytes) {
                Ok(_) => Ok(bytes),
                Err(error) => Err(format!("cannot be read: {error}")),
            }
        });
        read.map_err(|reason| self.refused(name, &reason))
    }
}

/// The vector in a `.npy` file.
fn view<T: Item + ViewElement>(bytes: &[u8]) -> Result<ArrayView1<'_, T>, String> {
    let header = match bytes {
        [_, b'N', b'U', b'M', b'P', b'Y', 1, 0, a, b, ..] => {
            u32::from(u16::from_le_bytes([*a, *b]))
        }
        [_, b'N', b'U', b'M', b'P', b'Y', 2 | 3, 0, a, b, c, d, ..] => {
            u32::from_le_bytes([*a, *b, *c, *d])
        }
        _ => return Err("not in the .npy format".to_owned()),
    };
    if header as usize > MAX_HEADER {
        return Err(format!("a header of {header} bytes is no vector's"));
    }
    ArrayView1::<T>::view_npy(bytes).map_err(|error| match error {
        ViewNpyError::WrongNdim(..) => {
            let rank = match ArrayView2::<T>::view_npy(bytes) {
                Ok(matrix) => format!("its shape is {:?}", matrix.dim()),
                Err(_) => "its shape is another".to_owned(),
            };
            format!("{rank}, not (samples,)")
        }
        ViewNpyError::WrongDescriptor(found) => {
            format!("its dtype is {found}, not '{}'", T::DESCR)
        }
        other => other.to_string(),
    })
}
