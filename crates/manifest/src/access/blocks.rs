//! Recently read blocks of a remote object.
//!
//! Formats with an index (Parquet) read a few bytes here and there, mostly near each other. A request costs some ten
//! milliseconds whatever its length, so what is fetched is a block.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::AccessError;
use super::object::Object;

const BLOCK_BYTES: u64 = 1 << 20;
/// Blocks that are kept per object.
const KEPT: usize = 8;

/// The blocks that were read last.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// A std mutex: it is not held while a block is fetched. Two threads may fetch the same block, which costs a
    /// request and is right.
    kept: Mutex<VecDeque<(u64, Arc<Vec<u8>>)>>,
}

impl Blocks {
    /// Some of the bytes of `object` at `offset`; 0 past its end.
    pub(super) fn read(
        &self,
        object: &Object,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize, AccessError> {
        if offset >= object.len() || buffer.is_empty() {
            return Ok(0);
        }
        let number = offset / BLOCK_BYTES;
        let block = match self.find(number) {
            Some(block) => block,
            None => self.fetch(object, number)?,
        };
        let within = usize::try_from(offset % BLOCK_BYTES).unwrap_or(usize::MAX);
        let bytes = block.get(within..).unwrap_or_default();
        let read = bytes.len().min(buffer.len());
        buffer[..read].copy_from_slice(&bytes[..read]);
        Ok(read)
    }

    fn find(&self, number: u64) -> Option<Arc<Vec<u8>>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(kept, _)| *kept == number)?;
        // The last used goes to the back.
        let found = kept.remove(at)?;
        let block = Arc::clone(&found.1);
        kept.push_back(found);
        Some(block)
    }

    fn fetch(&self, object: &Object, number: u64) -> Result<Arc<Vec<u8>>, AccessError> {
        let start = number * BLOCK_BYTES;
        let length = BLOCK_BYTES.min(object.len() - start);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let block = Arc::new(object.read_at(start, length)?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((number, Arc::clone(&block)));
        Ok(block)
    }
}
