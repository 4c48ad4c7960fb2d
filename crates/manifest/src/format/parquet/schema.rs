//! A look at the footer's schema before the reader of crate `parquet` gets it.
//!
//! That reader calls itself for each group within a group of the schema, which ends the process where the stack does,
//! and allocates as many children as a group claims. So the schema is gone through here first.

use super::thrift::{BINARY, BYTE, I32, I64, LIST, STRUCT, Walk};

/// The most groups within groups of a schema, its root among them.
const MAX_LEVELS: usize = 64;
/// The most groups and columns of a schema.
const MAX_ELEMENTS: u64 = 65_536;
/// The most bytes of all columns' names together, each with those of the groups it is in.
const MAX_PATH_BYTES: usize = 64 << 20;

/// Refuses a footer whose schema nests too deep, is too long, claims children that it does not have, or whose
/// columns have names that are too long: the reader keeps for each column the names of all groups it is in.
pub(super) fn check_schema(footer: &[u8]) -> Result<(), &'static str> {
    const MALFORMED: &str = "a malformed schema";
    let mut walk = Walk::new(footer);
    let count = walk.schema().ok_or(MALFORMED)?;
    if count > MAX_ELEMENTS {
        return Err("a schema of more than 65,536 elements");
    }
    // Of each group that the next element may be in, the children still to come, and the bytes of its path.
    let mut groups: Vec<(u64, usize)> = Vec::with_capacity(MAX_LEVELS);
    let mut paths = 0;
    for following in (0..count).rev() {
        let before = walk.bytes.len();
        let children = walk.shaped(Shape::Element, 0).ok_or(MALFORMED)?;
        // No less than the name.
        let own = before - walk.bytes.len();
        let children = u64::try_from(children)
            .ok()
            .filter(|children| *children <= following)
            .ok_or("a schema that claims more children than it has")?;
        while groups.pop_if(|(left, _)| *left == 0).is_some() {}
        let path = own + groups.last().map_or(0, |(_, path)| *path);
        if let Some((left, _)) = groups.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            if groups.len() == MAX_LEVELS {
                return Err("a schema nested deeper than 64 levels");
            }
            groups.push((children, path));
            continue;
        }
        paths += path;
        if paths > MAX_PATH_BYTES {
            return Err("a schema whose columns have names of more than 64 MiB together");
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

impl Walk<'_> {
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
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    #[test]
    fn refuses_names_that_multiply() {
        // A root, then a group whose long name each of its numbers is kept with.
        let footer_of = |name: usize, leaves: u64| {
            let mut group = vec![0x48];
            group.extend(varint(name as u64));
            group.extend(std::iter::repeat_n(b'x', name));
            group.push(0x15);
            group.extend(varint(2 * leaves));
            group.push(0);
            let mut elements = vec![GROUP, &group];
            elements.extend(std::iter::repeat_n(LEAF, leaves as usize));
            footer(&elements)
        };
        assert_eq!(check_schema(&footer_of(1 << 20, 50)), Ok(()));
        assert_eq!(
            check_schema(&footer_of(1 << 20, 70)),
            Err("a schema whose columns have names of more than 64 MiB together")
        );
    }

    fn varint(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    proptest! {
        #[test]
        fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = check_schema(&bytes);
            let _ = check_schema(&footer(&[GROUP, GROUP, &bytes[..]]));
        }
    }
}
