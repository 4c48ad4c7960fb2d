//! A look at a page's header before the reader of crate `parquet` gets it.
//!
//! That reader allocates what a header claims: for a page up to 2 GiB, for a string inside the header anything, which
//! ends the process. So each header, a struct of Thrift's compact protocol, is gone through here first; nothing is
//! allocated on the way. Source: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

/// The largest page, decompressed: 512 MiB.
pub(super) const MAX_PAGE_BYTES: u64 = 512 << 20;
/// The longest header.
pub(super) const MAX_HEADER_BYTES: usize = 64 << 10;
/// Structs within structs; a header has three.
const MAX_DEPTH: u32 = 8;

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
        let mut walk = Walk { bytes, top: [0; 4] };
        walk.fields(0).ok_or("a malformed page header")?;
        let [_, kind, uncompressed, _] = walk.top;
        match u64::try_from(uncompressed) {
            Ok(size) if size <= MAX_PAGE_BYTES => Ok(Self { kind, uncompressed }),
            Ok(_) | Err(_) => Err("a page of more than 512 MiB"),
        }
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    /// The numbers of the outermost struct's fields 1 to 3.
    top: [i64; 4],
}

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn skip(&mut self, length: u64) -> Option<()> {
        let length = usize::try_from(length).ok()?;
        self.bytes = self.bytes.get(length..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A signed number, in zigzag order.
    fn signed(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// The fields of a struct, up to its end.
    fn fields(&mut self, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut id = 0_i64;
        loop {
            let tag = self.byte()?;
            if tag == 0 {
                return Some(());
            }
            id = match tag >> 4 {
                0 => self.signed()?,
                delta => id.checked_add(i64::from(delta))?,
            };
            match (tag & 0xf, depth) {
                (4..=6, 0) if (1..=3).contains(&id) => self.top[id as usize] = self.signed()?,
                // A boolean field is its own value.
                (1 | 2, _) => {}
                (kind, _) => self.value(kind, depth)?,
            }
        }
    }

    fn value(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => self.list(depth),
            12 => self.fields(depth + 1),
            _ => None,
        }
    }

    fn list(&mut self, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let tag = self.byte()?;
        let count = match tag >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        // Every element has at least one byte, so a count past the end stops there.
        for _ in 0..count {
            self.value(tag & 0xf, depth + 1)?;
        }
        Some(())
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
