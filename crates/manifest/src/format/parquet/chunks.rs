//! The way from crate `parquet` to a file, and what it may read there.

use std::io::{self, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::header::{MAX_HEADER_BYTES, MAX_PAGE_BYTES, PageHeader};
use super::schema::check_schema;
use crate::access::{Object, Sequential};

/// The longest footer, which describes the columns and row groups: 64 MiB.
const MAX_FOOTER_BYTES: usize = 64 << 20;
/// The footer's length and the format's mark.
const TAIL_BYTES: usize = 8;

/// A file as crate `parquet` reads it.
pub(super) struct Chunks {
    object: Arc<Object>,
    /// Of the column that is read; `None` for the footer.
    compression: Option<Compression>,
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.object.len()
    }
}

impl Chunks {
    fn read(&self, start: u64, length: usize) -> Result<Vec<u8>> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.object.len()) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} are past the end of the file"
            )));
        }
        let bytes = self.object.read_at(start, length);
        bytes.map_err(|error| ParquetError::External(Box::new(error)))
    }

    /// Refuses compressed pages that the codec would inflate without a limit.
    fn check_inflation(&self, page: &[u8]) -> Result<()> {
        if !matches!(self.compression, Some(Compression::GZIP(_))) {
            return Ok(());
        }
        let mut inflated = MultiGzDecoder::new(page).take(MAX_PAGE_BYTES + 1);
        let length = io::copy(&mut inflated, &mut io::sink());
        match length.map_err(|error| ParquetError::General(error.to_string()))? {
            length if length <= MAX_PAGE_BYTES => Ok(()),
            _ => Err(ParquetError::General(
                "a page of more than 512 MiB".to_owned(),
            )),
        }
    }
}

impl ChunkReader for Chunks {
    type T = Headers;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(Headers {
            object: Arc::clone(&self.object),
            compression: self.compression,
            start,
            reader: None,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.read(start, length)?;
        self.check_inflation(&bytes)?;
        Ok(bytes.into())
    }
}

/// A page header, which is all that is read this way; checked once it is asked for, as a reader is also made for
/// headers that are known already.
pub(super) struct Headers {
    object: Arc<Object>,
    compression: Option<Compression>,
    start: u64,
    reader: Option<io::Chain<Cursor<Vec<u8>>, Sequential>>,
}

impl Headers {
    fn open(&self) -> io::Result<io::Chain<Cursor<Vec<u8>>, Sequential>> {
        let left = self.object.len().saturating_sub(self.start);
        let length = left.min(MAX_HEADER_BYTES as u64);
        let head = self.object.read_at(self.start, length as usize)?;
        if let Some(compression) = self.compression {
            let header = PageHeader::check(&head).map_err(io::Error::other)?;
            if header.kind == 3 && matches!(compression, Compression::GZIP(_)) {
                return Err(io::Error::other(
                    "data pages of version 2 with gzip are not read; write the file with zstd",
                ));
            }
        }
        Ok(Cursor::new(head).chain(self.object.reader(self.start + length)))
    }
}

impl Read for Headers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => {
                let reader = self.open()?;
                self.reader.insert(reader)
            }
        };
        reader.read(buffer)
    }
}

/// The footer of `object`.
pub(super) fn metadata(object: &Arc<Object>) -> std::result::Result<ParquetMetaData, String> {
    let chunks = Chunks {
        object: Arc::clone(object),
        compression: None,
    };
    let end = object.len().checked_sub(TAIL_BYTES as u64);
    let end = end.ok_or_else(|| "not a Parquet file: it is too short".to_owned())?;
    guarded(|| {
        let tail = FooterTail::try_from(chunks.read(end, TAIL_BYTES)?.as_slice())?;
        if tail.is_encrypted_footer() {
            return Err(ParquetError::General("its footer is encrypted".to_owned()));
        }
        let length = tail.metadata_length();
        if length > MAX_FOOTER_BYTES {
            return Err(ParquetError::General(format!("a footer of {length} bytes")));
        }
        let start = end.checked_sub(length as u64).ok_or_else(|| {
            ParquetError::EOF(format!("a footer of {length} bytes in a shorter file"))
        })?;
        // What is checked is what is decoded, also of a file that changes.
        let footer = chunks.read(start, length)?;
        check_schema(&footer).map_err(|reason| ParquetError::General(reason.to_owned()))?;
        ParquetMetaDataReader::decode_metadata(&footer)
    })
}

/// A reader of one column of one row group. `budget` bounds the bytes of pages between two times that it is set.
pub(super) fn column(
    object: &Arc<Object>,
    metadata: &ParquetMetaData,
    group: usize,
    leaf: usize,
    budget: &Arc<AtomicU64>,
) -> std::result::Result<ColumnReader, String> {
    let rows = metadata.row_group(group);
    let chunk = rows.column(leaf);
    let compression = chunk.compression();
    if !matches!(
        compression,
        Compression::UNCOMPRESSED
            | Compression::SNAPPY
            | Compression::ZSTD(_)
            | Compression::LZ4_RAW
            | Compression::GZIP(_)
    ) {
        return Err(format!(
            "compressed with {compression}, which is not read; write the file with zstd or snappy"
        ));
    }
    let chunks = Chunks {
        object: Arc::clone(object),
        compression: Some(compression),
    };
    guarded(|| {
        let total = usize::try_from(rows.num_rows())?;
        let pages = SerializedPageReader::new(Arc::new(chunks), chunk, total, None)?;
        let pages = Budgeted {
            pages,
            left: Arc::clone(budget),
        };
        Ok(get_column_reader(chunk.column_descr_ptr(), Box::new(pages)))
    })
}

/// The answer of crate `parquet`, whose decoders panic at some corrupt files.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the file is corrupt: its reader gave up".to_owned()),
    }
}

/// Pages, as long as they are within what may be in memory at one time.
struct Budgeted {
    pages: SerializedPageReader<Chunks>,
    left: Arc<AtomicU64>,
}

impl Budgeted {
    fn spend(&self, page: Option<Page>) -> Result<Option<Page>> {
        let length = page.as_ref().map_or(0, |page| page.buffer().len() as u64);
        let left = self.left.load(Ordering::Relaxed);
        let left = left.checked_sub(length).ok_or_else(|| {
            ParquetError::General("one row has more data than are read at once".to_owned())
        })?;
        self.left.store(left, Ordering::Relaxed);
        Ok(page)
    }
}

impl Iterator for Budgeted {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Budgeted {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        self.spend(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.pages.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        let page = self.pages.take_deferred_dictionary()?;
        self.spend(page)
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

/// What a gzip page of these bytes is answered with.
#[cfg(test)]
pub(super) fn testing_chunks(page: &[u8]) -> Result<Bytes> {
    use parquet::basic::GzipLevel;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("page");
    std::fs::write(&path, page)?;
    let place = crate::place::Place::Local(path);
    let object = crate::testing::access()
        .open(&place)
        .map_err(io::Error::from)?;
    let chunks = Chunks {
        object,
        compression: Some(Compression::GZIP(GzipLevel::default())),
    };
    chunks.get_bytes(0, page.len())
}
