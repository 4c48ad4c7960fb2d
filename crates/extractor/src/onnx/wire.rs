//! Protobuf's wire format: the fields of a message, as slices of it.
//!
//! A decoder that builds messages copies every name, and a file of 2 GiB can hold 2³⁰ empty ones.
//! This one copies nothing and counts what it hands out.
//! Source: <https://protobuf.dev/programming-guides/encoding>.

use std::cell::Cell;

/// Fields that all messages of a file may have together. A ViT of 12 blocks has some 20,000.
const MAX_FIELDS: u32 = 1 << 21;

/// How many more fields may be read.
pub(super) struct Budget(Cell<u32>);

/// The fields of one message, in the file's order.
pub(super) struct Fields<'a, 'b> {
    rest: &'a [u8],
    budget: &'b Budget,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    /// A string, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// 4 or 8 bytes, which no field of interest has.
    Fixed,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self(Cell::new(MAX_FIELDS))
    }

    pub(super) fn fields<'a>(&self, message: &'a [u8]) -> Fields<'a, '_> {
        Fields {
            rest: message,
            budget: self,
        }
    }
}

impl<'a> Value<'a> {
    /// The bytes of a string or message.
    pub(super) fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed => Err("a field has the wrong type".to_owned()),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a name is not UTF-8".to_owned())
    }

    pub(super) fn varint(self) -> Result<u64, String> {
        match self {
            Self::Varint(value) => Ok(value),
            Self::Bytes(_) | Self::Fixed => Err("a field has the wrong type".to_owned()),
        }
    }
}

impl<'a> Fields<'a, '_> {
    fn next_field(&mut self) -> Result<(u64, Value<'a>), String> {
        let left = self.budget.0.get().checked_sub(1);
        self.budget
            .0
            .set(left.ok_or("it has more parts than a model needs")?);
        let key = varint(&mut self.rest)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = varint(&mut self.rest)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err("it holds no protobuf message".to_owned()),
        };
        Ok((key >> 3, value))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let length = usize::try_from(length).map_err(|_| CUT_SHORT)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(bytes)
    }
}

impl<'a> Iterator for Fields<'a, '_> {
    type Item = Result<(u64, Value<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.next_field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

const CUT_SHORT: &str = "it is cut short";

/// A number from the front of `bytes`, at most ten of them.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(CUT_SHORT)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("it holds a number of more than 64 bits".to_owned())
}

/// Appends `bytes` as field `number`, below 16, of the message in `message`.
pub(super) fn put(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend_from_slice(bytes);
}
