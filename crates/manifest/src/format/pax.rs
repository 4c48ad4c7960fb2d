//! What extension headers say of the tar member that follows them.

/// Collected until that member's own header.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    /// GNU's long name, with the zero byte that ends it.
    pub(super) long_name: Option<Vec<u8>>,
    pax_name: Option<Vec<u8>>,
    /// Takes the place of the length in the header.
    pub(super) length: Option<u64>,
    pub(super) sparse: bool,
}

impl Extensions {
    /// The member's name, where it is not in its header.
    pub(super) fn name(&self) -> Option<&[u8]> {
        let long_name = self.long_name.as_deref();
        long_name
            .and_then(|name| name.split(|byte| *byte == 0).next())
            .or(self.pax_name.as_deref())
    }

    /// Takes what matters here from pax records, `LENGTH KEY=VALUE\n` each, the length counting all of it. (Values
    /// may contain line ends, so the length is what separates them.)
    pub(super) fn read_pax(&mut self, mut records: &[u8]) -> Result<(), String> {
        while !records.is_empty() {
            let (key, value, rest) =
                split_record(records).ok_or_else(|| "a malformed pax record".to_owned())?;
            match key {
                b"path" => self.pax_name = Some(value.to_vec()),
                b"size" => self.length = Some(decimal(value).ok_or("a malformed pax size")?),
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
            records = rest;
        }
        Ok(())
    }
}

/// The first record's key and value, and the records after it.
fn split_record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(records.get(..space)?)?).ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let pair = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((pair.get(..equals)?, pair.get(equals + 1..)?, rest))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_records_with_line_ends_in_values() {
        let mut extensions = Extensions::default();
        let records = b"17 SCHILY.x=a\nb=\n16 path=dir/a=b\n12 size=700\n";
        extensions.read_pax(records).unwrap();
        assert_eq!(extensions.name(), Some(&b"dir/a=b"[..]));
        assert_eq!(extensions.length, Some(700));
        assert!(!extensions.sparse);
    }

    #[test]
    fn refuses_malformed_records() {
        for records in [
            "16 path=dir/a=b",
            "99 path=a\n",
            "0 path=a\n",
            "9 path=a\n\0",
            "x path=a\n",
            "path=a\n",
            "7 path\n",
            "11 size=-1\n",
            "1 path=a\n",
        ] {
            let read = Extensions::default().read_pax(records.as_bytes());
            assert!(read.is_err(), "{records}");
        }
    }

    proptest! {
        #[test]
        fn survives_any_bytes(records in "[0-9]{1,2} [a-z=\\n\\PC]{0,12}") {
            let _ = Extensions::default().read_pax(records.as_bytes());
        }
    }
}
