//! The Python literal that a header is: a dictionary of `descr`, `fortran_order` and `shape`.

use crate::error::NpyProblem;

/// The most dimensions of a NumPy array (`NPY_MAXDIMS`).
const MAX_DIMENSIONS: usize = 64;

/// The dictionary's values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    /// The type string without its quotes; a structured or nested type as Python writes it.
    pub(crate) descr: String,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<u64>,
}

/// The fields of the header `text`, which begins at byte `offset` of the file. Keys may come in any order; each
/// must be there once, as NumPy demands.
pub(crate) fn parse(text: &[u8], offset: usize) -> Result<Fields, NpyProblem> {
    let mut cursor = Cursor {
        text,
        at: 0,
        offset,
    };
    let fields = cursor.dictionary()?;
    match cursor.peek() {
        None => Ok(fields),
        Some(_) => Err(cursor.expected("the end of the header")),
    }
}

/// Reads without recursion: what a header nests costs no stack.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    offset: usize,
}

impl<'a> Cursor<'a> {
    fn dictionary(&mut self) -> Result<Fields, NpyProblem> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.take(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            let repeated = match key {
                b"descr" => descr.replace(self.descr()?).is_some(),
                b"fortran_order" => fortran_order.replace(self.boolean()?).is_some(),
                b"shape" => shape.replace(self.shape()?).is_some(),
                _ => return Err(self.expected("no keys but `descr`, `fortran_order`, `shape`")),
            };
            if repeated {
                return Err(self.expected("each key once"));
            }
            if !self.take(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => Ok(Fields {
                descr,
                fortran_order,
                shape,
            }),
            _ => Err(self.expected("the keys `descr`, `fortran_order` and `shape`")),
        }
    }

    fn descr(&mut self) -> Result<String, NpyProblem> {
        let text = match self.peek() {
            Some(b'[' | b'(') => self.nested()?,
            _ => self.string()?,
        };
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// A list or tuple, brackets included. What is in it is not looked at: no such type is read.
    fn nested(&mut self) -> Result<&'a [u8], NpyProblem> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'[' | b'(') => depth += 1,
                Some(b']' | b')') => depth -= 1,
                Some(b'\'' | b'"') => {
                    self.string()?;
                    continue;
                }
                Some(_) => {}
                None => return Err(self.expected("`]`")),
            }
            self.at += 1;
            if depth == 0 {
                return Ok(self.text.get(start..self.at).unwrap_or_default());
            }
        }
    }

    fn shape(&mut self) -> Result<Vec<u64>, NpyProblem> {
        let mut shape = Vec::new();
        self.expect(b'(')?;
        while !self.take(b')') {
            if shape.len() == MAX_DIMENSIONS {
                return Err(self.expected("at most 64 dimensions"));
            }
            shape.push(self.integer()?);
            if !self.take(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(shape)
    }

    /// Python 2 wrote `3L` for some integers.
    fn integer(&mut self) -> Result<u64, NpyProblem> {
        self.peek();
        let digits = self.run(|byte| byte.is_ascii_digit());
        let number = std::str::from_utf8(digits).unwrap_or_default().parse();
        let number = number.map_err(|_| self.expected("a number from 0 to 2^64 - 1"))?;
        self.take(b'L');
        Ok(number)
    }

    fn boolean(&mut self) -> Result<bool, NpyProblem> {
        self.peek();
        match self.run(|byte| byte.is_ascii_alphabetic()) {
            b"True" => Ok(true),
            b"False" => Ok(false),
            _ => Err(self.expected("`True` or `False`")),
        }
    }

    /// A string without escapes, which no type string needs.
    fn string(&mut self) -> Result<&'a [u8], NpyProblem> {
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return Err(self.expected("a string")),
        };
        self.at += 1;
        let text = self.run(|byte| byte != quote && byte != b'\\');
        self.expect(quote)?;
        Ok(text)
    }

    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&byte| !belongs(byte));
        let (run, _) = rest.split_at(end.unwrap_or(rest.len()));
        self.at += run.len();
        run
    }

    fn expect(&mut self, byte: u8) -> Result<(), NpyProblem> {
        if self.take(byte) {
            return Ok(());
        }
        Err(self.expected(&format!("`{}`", char::from(byte))))
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    /// The next byte that is not a blank.
    fn peek(&mut self) -> Option<u8> {
        self.run(|byte| byte.is_ascii_whitespace());
        self.text.get(self.at).copied()
    }

    fn expected(&self, what: &str) -> NpyProblem {
        NpyProblem::BadHeader {
            offset: self.offset + self.at,
            reason: format!("expected {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_numpy_wrote_in_any_version_of_python() {
        for text in [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }   \n",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3L, 2L)}",
            "{\"shape\":(3,2,),\"fortran_order\":False,\"descr\":\"<f4\"}",
        ] {
            let fields = parse(text.as_bytes(), 10).unwrap();
            assert_eq!(fields.descr, "<f4");
            assert_eq!((fields.fortran_order, &*fields.shape), (false, &[3, 2][..]));
        }
    }

    #[test]
    fn keeps_a_structured_type_as_it_is_written() {
        let text =
            "{'descr': [('a]', '<f4'), ('b', '<f4', (2,))], 'fortran_order': True, 'shape': ()}";
        let fields = parse(text.as_bytes(), 10).unwrap();
        assert_eq!(fields.descr, "[('a]', '<f4'), ('b', '<f4', (2,))]");
        assert!(fields.fortran_order && fields.shape.is_empty());
    }

    #[test]
    fn says_where_and_what_was_expected() {
        let long = format!("{{'shape': ({})}}", "1,".repeat(65));
        for (text, offset, reason) in [
            ("", 10, "`{`"),
            ("{'descr': '<f4'} {", 26, "the keys"),
            ("{'descr': '<f4', 'descr': '<f4'}", 41, "each key once"),
            ("{'color': 1}", 19, "no keys but"),
            ("{'shape': (-1, 2)}", 21, "a number"),
            ("{'shape': (18446744073709551616,)}", 41, "a number"),
            (&long, 149, "at most 64"),
            ("{'fortran_order': 0}", 28, "`True`"),
            ("{'descr': '<f4\\'}", 24, "`'`"),
            ("{'descr': [('a', '<f4'}", 33, "`]`"),
            ("{'descr': ['a", 23, "`'`"),
        ] {
            match parse(text.as_bytes(), 10).unwrap_err() {
                NpyProblem::BadHeader {
                    offset: at,
                    reason: why,
                } => assert!(at == offset && why.contains(reason), "{text}: {at}: {why}"),
                other => panic!("{other}"),
            }
        }
        let twice = "{'descr':'','fortran_order':True,'shape':()}{";
        let error = parse(twice.as_bytes(), 0).unwrap_err().to_string();
        assert_eq!(
            error,
            "bad header at byte 44: expected the end of the header"
        );
    }

    proptest! {
        #[test]
        fn survives_any_sequence_of_tokens(tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "(", ")", "[", "]", ",", ":", "'descr'", "'fortran_order'", "'shape'", "True", "False", "'<f4'",
            "7", "L", "'", "\\", " ", "-", "\n",
        ]), 0..40)) {
            let text = tokens.concat();
            if let Ok(fields) = parse(text.as_bytes(), 0) {
                prop_assert!(fields.shape.len() <= text.len());
            }
        }
    }
}
