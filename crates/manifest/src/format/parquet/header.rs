//! A look at a page's header, and at the footer's schema, before the reader of crate `parquet` gets them.
//!
//! That reader allocates what a header claims: for a page up to 2 GiB, for a string inside the header anything, which
//! ends the process. So each header, a struct of Thrift's compact protocol, is gone through here first; nothing that
//! it claims is allocated on the way. Source:
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.
//!
//! It also calls itself for each group within a group of the schema, which ends the process where the stack does, and
//! allocates as many children as a group claims. So the schema is gone through here as well.

/// The largest page, decompressed: 512 MiB.
pub(super) const MAX_PAGE_BYTES: u64 = 512 << 20;
/// The longest header.
pub(super) const MAX_HEADER_BYTES: usize = 64 << 10;
/// Structs within structs; a header has three.
const MAX_DEPTH: u32 = 8;
/// The most groups within groups of a schema, its root among them.
const MAX_LEVELS: usize = 64;
/// The most groups and columns of a schema.
const MAX_ELEMENTS: u64 = 65_536;

/// Kinds of fields and of a list's elements.
const BYTE: u8 = 3;
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

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

/// Refuses a footer whose schema nests too deep, is too long or claims children that it does not have.
pub(super) fn check_schema(footer: &[u8]) -> Result<(), &'static str> {
    const MALFORMED: &str = "a malformed schema";
    let mut walk = Walk {
        bytes: footer,
        top: [0; 4],
    };
    let count = walk.schema().ok_or(MALFORMED)?;
    if count > MAX_ELEMENTS {
        return Err("a schema of more than 65,536 elements");
    }
    // Of each group that the next element may be in, the children still to come.
    let mut groups: Vec<u64> = Vec::with_capacity(MAX_LEVELS);
    for following in (0..count).rev() {
        let children = walk.shaped(Shape::Element, 0).ok_or(MALFORMED)?;
        let children = u64::try_from(children)
            .ok()
            .filter(|children| *children <= following)
            .ok_or("a schema that claims more children than it has")?;
        while groups.last() == Some(&0) {
            groups.pop();
        }
        if let Some(left) = groups.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            if groups.len() == MAX_LEVELS {
                return Err("a schema nested deeper than 64 levels");
            }
            groups.push(children);
        }
    }
    Ok(())
}

/// A struct of the schema. The reader goes by a field's number and not by its kind, so a field of another kind than
/// its number has would be read in two ways, and what was checked here would not be what is read there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Element,
    LogicalType,
    Decimal,
    /// Of a day, or a timestamp.
    Time,
    TimeUnit,
    /// An integer or a variant.
    Integer,
    /// With edges of either sort.
    Geography,
    /// The reader goes by its fields' kinds, or takes it to be empty.
    Other,
}

impl Shape {
    /// The kind of a field and, of a struct, its shape; `None` for one that the reader skips by its kind.
    fn field(self, id: i16) -> Option<(u8, Self)> {
        match (self, id) {
            (Self::Element, 1..=3 | 5..=9) | (Self::Decimal, 1 | 2) | (Self::Geography, 2) => {
                Some((I32, Self::Other))
            }
            (Self::Element, 4) | (Self::Geography, 1) => Some((BINARY, Self::Other)),
            (Self::Element, 10) => Some((STRUCT, Self::LogicalType)),
            (Self::LogicalType, 5) => Some((STRUCT, Self::Decimal)),
            (Self::LogicalType, 7 | 8) => Some((STRUCT, Self::Time)),
            (Self::LogicalType, 10 | 16) => Some((STRUCT, Self::Integer)),
            (Self::LogicalType, 17 | 18) => Some((STRUCT, Self::Geography)),
            (Self::LogicalType, 1..=4 | 6 | 9 | 11..=15 | 19) | (Self::TimeUnit, _) => {
                Some((STRUCT, Self::Other))
            }
            (Self::Time, 2) => Some((STRUCT, Self::TimeUnit)),
            (Self::Integer, 1) => Some((BYTE, Self::Other)),
            _ => None,
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

    /// The kind of the next field, whose number takes the place of the last one's; 0 at the struct's end.
    fn field(&mut self, id: &mut i16) -> Option<u8> {
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
    fn fields(&mut self, depth: u32) -> Option<()> {
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

    /// Up to the elements of a footer's schema, which writers put behind the version; how many they are.
    fn schema(&mut self) -> Option<u64> {
        let mut id = 0;
        loop {
            match (self.field(&mut id)?, id) {
                (LIST, 2) => break,
                (I32, 1) | (I64, 3) => self.varint()?,
                _ => return None,
            };
        }
        let (kind, count) = self.elements()?;
        (kind == STRUCT).then_some(count)
    }

    /// The fields of a struct of the schema, up to its end; of an element, how many children it claims.
    fn shaped(&mut self, shape: Shape, depth: u32) -> Option<i64> {
        let mut id = 0;
        let mut children = 0;
        loop {
            let kind = self.field(&mut id)?;
            match (kind, shape.field(id)) {
                (0, _) => return Some(children),
                (_, Some((expected, _))) if kind != expected => return None,
                (I32, Some(_)) => {
                    let number = self.signed()?;
                    if shape == Shape::Element && id == 5 {
                        children = number;
                    }
                }
                (STRUCT, Some((_, inner))) => {
                    self.shaped(inner, depth + 1)?;
                }
                // A boolean field is its own value.
                (1 | 2, _) => {}
                (kind, _) => self.value(kind, depth)?,
            }
        }
    }

    fn value(&mut self, kind: u8, depth: u32) -> Option<()> {
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
    fn elements(&mut self) -> Option<(u8, u64)> {
        let tag = self.byte()?;
        let count = match tag >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        Some((tag & 0xf, count))
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

    /// A footer up to its schema's end: version 1, then these elements.
    fn footer(elements: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0x15, 0x02, 0x19, 0xfc];
        let mut count = elements.len();
        while count >= 0x80 {
            bytes.push(count as u8 | 0x80);
            count >>= 7;
        }
        bytes.push(count as u8);
        bytes.extend(elements.concat());
        bytes
    }

    /// An optional group of one child, named `g`.
    const GROUP: &[u8] = &[0x35, 0x02, 0x18, 0x01, b'g', 0x15, 0x02, 0x00];
    /// An optional number, named `n`.
    const LEAF: &[u8] = &[0x15, 0x02, 0x25, 0x02, 0x18, 0x01, b'n', 0x00];

    #[test]
    fn refuses_schemas_that_nest_too_deep() {
        let nested = |levels: usize| {
            let mut elements = vec![GROUP; levels];
            elements.push(LEAF);
            footer(&elements)
        };
        assert_eq!(check_schema(&nested(64)), Ok(()));
        let deep = Err("a schema nested deeper than 64 levels");
        assert_eq!(check_schema(&nested(65)), deep);
        assert_eq!(check_schema(&nested(65_535)), deep);
        let long = Err("a schema of more than 65,536 elements");
        assert_eq!(check_schema(&nested(100_000)), long);
        // A group of one group and one number, a hundred times beside one another, is not deep.
        let root: &[u8] = &[0x48, 0x01, b'm', 0x15, 0xc8, 0x01, 0x00];
        let mut elements = vec![root];
        (0..100).for_each(|_| elements.extend([GROUP, GROUP, LEAF]));
        assert_eq!(check_schema(&footer(&elements)), Ok(()));
        for cut in 0..50 {
            let bytes = footer(&elements);
            assert_eq!(check_schema(&bytes[..cut]), Err("a malformed schema"));
        }
    }

    #[test]
    fn refuses_children_that_do_not_follow() {
        let claims = [
            // 2^31 - 1, -1, 2 and 2^32 + 1.
            &[0xfe, 0xff, 0xff, 0xff, 0x0f][..],
            &[0x01],
            &[0x04],
            &[0x82, 0x80, 0x80, 0x80, 0x20],
        ];
        for claim in claims {
            let root = [&[0x48, 0x01, b'm', 0x15][..], claim, &[0x00]].concat();
            assert_eq!(
                check_schema(&footer(&[&root[..], LEAF])),
                Err("a schema that claims more children than it has"),
                "{claim:?}"
            );
        }
    }

    #[test]
    fn refuses_fields_of_another_kind_than_is_read() {
        // A decimal of scale 2 and precision 9, then one whose scale is a string.
        let decimal: &[u8] = &[
            0x48, 0x01, b'd', 0x6c, 0x5c, 0x15, 0x04, 0x15, 0x12, 0x00, 0x00, 0x00,
        ];
        let string: &[u8] = &[
            0x48, 0x01, b'd', 0x6c, 0x5c, 0x18, 0x00, 0x15, 0x12, 0x00, 0x00, 0x00,
        ];
        assert_eq!(check_schema(&footer(&[GROUP, decimal])), Ok(()));
        let malformed = Err("a malformed schema");
        assert_eq!(check_schema(&footer(&[GROUP, string])), malformed);
        // A version that is a string, and a schema that is none.
        assert_eq!(check_schema(&[0x18, 0x00, 0x00]), malformed);
        assert_eq!(check_schema(&[0x15, 0x02, 0x12, 0x00]), malformed);
    }

    proptest! {
        #[test]
        fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = PageHeader::check(&bytes);
            let _ = check_schema(&bytes);
            let _ = check_schema(&footer(&[GROUP, GROUP, &bytes[..]]));
        }
    }
}
