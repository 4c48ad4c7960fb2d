//! Until when certificates are good, read from their DER (RFC 5280, 4.1).

use crate::metrics::CERTIFICATE_EXPIRY;
use rustls::pki_types::{CertificateDer, pem::PemObject};

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The version, which certificates of the first one do not have.
const VERSION: u8 = 0xa0;

/// Sets the metric to the end of the certificate in PEM that expires first.
pub(super) fn tell(pem: &[u8]) {
    let chain = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    if let Some(seconds) = chain.filter_map(|one| not_after(&one)).min() {
        metrics::gauge!(CERTIFICATE_EXPIRY).set(seconds as f64);
    }
}

/// Seconds since 1970; none of what is no certificate.
fn not_after(der: &[u8]) -> Option<i64> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut fields, _) = element(certificate, SEQUENCE)?;
    if let Some((_, rest)) = element(fields, VERSION) {
        fields = rest;
    }
    // Serial number, algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, fields) = element(fields, tag)?;
    }
    let (validity, _) = element(fields, SEQUENCE)?;
    let (_, end) = time(validity)?;
    Some(time(end)?.0)
}

/// What an element with this tag holds, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        // So many bytes of length.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    (*found == tag).then(|| rest.split_at_checked(length))?
}

/// Seconds since 1970 of a time, and what follows it.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (year_digits, (text, rest)) = match element(bytes, UTC_TIME) {
        Some(found) => (2, found),
        None => (4, element(bytes, GENERALIZED_TIME)?),
    };
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, others) = text.split_at_checked(year_digits)?;
    let mut year: i64 = year.parse().ok()?;
    if year_digits == 2 {
        year += if year < 50 { 2_000 } else { 1_900 };
    }
    let number = |at: usize| others.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day) = (number(0)?, number(2)?);
    let seconds = number(4)? * 3_600 + number(6)? * 60 + number(8)?;
    Some((days(year, month, day) * 86_400 + seconds, rest))
}

/// Days since 1970 of a Gregorian date; years begin in March, so that leap days end them.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_tag(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, content.len() as u8], content].concat()
    }

    fn certificate(version: &[u8], end: &[u8]) -> Vec<u8> {
        let validity = [with_tag(UTC_TIME, b"240101000000Z"), end.to_vec()].concat();
        let fields = [
            version,
            &with_tag(INTEGER, &[7]),
            &with_tag(SEQUENCE, &[]),
            &with_tag(SEQUENCE, &[]),
            &with_tag(SEQUENCE, &validity),
        ]
        .concat();
        with_tag(SEQUENCE, &with_tag(SEQUENCE, &fields))
    }

    #[test]
    fn ends_are_read() {
        let version = with_tag(VERSION, &with_tag(INTEGER, &[2]));
        for (tag, text, seconds) in [
            (UTC_TIME, "000229123456Z", 951_827_696),
            (UTC_TIME, "700101000000Z", 0),
            (GENERALIZED_TIME, "20991231235959Z", 4_102_444_799),
            (GENERALIZED_TIME, "40960101000000Z", 67_090_118_400),
        ] {
            let end = with_tag(tag, text.as_bytes());
            for version in [&version[..], &[]] {
                assert_eq!(
                    not_after(&certificate(version, &end)),
                    Some(seconds),
                    "{text}"
                );
            }
        }
        let whole = certificate(&version, &with_tag(UTC_TIME, b"000229123456Z"));
        for length in 0..whole.len() {
            assert_eq!(not_after(&whole[..length]), None, "{length}");
        }
        let wrong = certificate(&version, &with_tag(UTC_TIME, b"00022912345x"));
        assert_eq!(not_after(&wrong), None);
    }
}
