//! A look at a page's header before the reader of crate `parquet` gets it.
//!
//! That reader allocates what a header claims: for a page up to 2 GiB, for a string inside the header anything, which
//! ends the process. So each header is gone through here first.

use super::thrift::Walk;

/// The largest page, decompressed: 512 MiB.
pub(super) const MAX_PAGE_BYTES: u64 = 512 << 20;
/// The longest header.
pub(super) const MAX_HEADER_BYTES: usize = 64 << 10;

/// What of a header matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PageHeader {
    /// 3 is a data page of version 2.
    pub(super) kind: i64,
    /// In bytes.
    pub(super) uncompressed: i64,
}

impl PageHeader {
    /// The header at the beginning of `bytes`, which are as many as a header may have, or all there are.
    pub(super) fn check(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut walk = Walk::new(bytes);
        walk.fields(0).ok_or("a malformed page header")?;
        let [_, kind, uncompressed, _] = walk.top;
        match u64::try_from(uncompressed) {
            Ok(size) if size <= MAX_PAGE_BYTES => Ok(Self { kind, uncompressed }),
            Ok(_) | Err(_) => Err("a page of more than 512 MiB"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_a_writer_writes() {
        // Type 0, 100 bytes, 50 bytes, then a data page header: 10 values, encodings, statistics of one string.
        let header = [
            0x15, 0x00, 0x15, 0xc8, 0x01, 0x15, 0x64, 0x2c, 0x15, 0x14, 0x15, 0x00, 0x15, 0x06,
            0x15, 0x06, 0x1c, 0x18, 0x02, b'a', b'b', 0x00, 0x00, 0x00,
        ];
        let found = PageHeader::check(&header).unwrap();
        assert_eq!((found.kind, found.uncompressed), (0, 100));
        for cut in 0..header.len() {
            assert!(PageHeader::check(&header[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn refuses_claims_beyond_any_page() {
        // 2 GiB - 1 in zigzag.
        let huge = [
            0x15, 0x00, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0x15, 0x02, 0x00,
        ];
        assert_eq!(PageHeader::check(&huge), Err("a page of more than 512 MiB"));
        // A string of 2^60 bytes.
        let string = [
            0x58, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0x00,
        ];
        assert_eq!(PageHeader::check(&string), Err("a malformed page header"));
        assert_eq!(
            PageHeader::check(&[0x1c; 64]),
            Err("a malformed page header")
        );
        assert_eq!(
            PageHeader::check(&[0x19, 0xff, 0xff, 0xff, 0x0f]),
            Err("a malformed page header")
        );
    }

    proptest! {
        #[test]
        fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = PageHeader::check(&bytes);
        }
    }
}
