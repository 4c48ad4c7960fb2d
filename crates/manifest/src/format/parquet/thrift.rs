//! Structs of Thrift's compact protocol, gone through without allocating anything that they claim. Source:
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

/// Structs within structs; a page's header has three.
const MAX_DEPTH: u32 = 8;

/// Kinds of fields and of a list's elements.
pub(super) const BYTE: u8 = 3;
pub(super) const I32: u8 = 5;
pub(super) const I64: u8 = 6;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// What is left of the bytes.
pub(super) struct Walk<'a> {
    pub(super) bytes: &'a [u8],
    /// The numbers of the outermost struct's fields 1 to 3.
    pub(super) top: [i64; 4],
}

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, top: [0; 4] }
    }

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

    pub(super) fn varint(&mut self) -> Option<u64> {
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
    pub(super) fn signed(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// The kind of the next field, whose number takes the place of the last one's; 0 at the struct's end.
    pub(super) fn field(&mut self, id: &mut i16) -> Option<u8> {
        let tag = self.byte()?;
        if tag & 0xf == 0 {
            return (tag == 0).then_some(0);
        }
        *id = match tag >> 4 {
            0 => i16::try_from(self.signed()?).ok()?,
            delta => id.checked_add(i16::from(delta))?,
        };
        Some(tag & 0xf)
    }

    /// The fields of a struct, up to its end.
    pub(super) fn fields(&mut self, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut id = 0;
        loop {
            match (self.field(&mut id)?, depth) {
                (0, _) => return Some(()),
                (4..=6, 0) if (1..=3).contains(&id) => self.top[id as usize] = self.signed()?,
                // A boolean field is its own value.
                (1 | 2, _) => {}
                (kind, _) => self.value(kind, depth)?,
            }
        }
    }

    pub(super) fn value(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            // Booleans in a list, which nothing here has, are one byte each, and none where the reader skips them.
            3 => self.skip(1),
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
        let (kind, count) = self.elements()?;
        // Every element has at least one byte, so a count past the end stops there.
        for _ in 0..count {
            self.value(kind, depth + 1)?;
        }
        Some(())
    }

    /// The kind and the number of a list's elements.
    pub(super) fn elements(&mut self) -> Option<(u8, u64)> {
        let tag = self.byte()?;
        let count = match tag >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        Some((tag & 0xf, count))
    }
}
