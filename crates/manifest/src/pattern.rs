//! Names with braces, expanded as a shell does: `train-{000000..000146}.tar`, `{train,val}/*` without the star.
//!
//! What is not a choice or a range stays as it is: `{a}`, a brace without its other half. Names are counted before
//! the first is made, so that `{0..999999999999}` costs nothing.

use crate::error::ManifestError;

/// The most files that one source may have.
pub(crate) const MAX_FILES: usize = 1 << 20;
/// The most bytes of all names together: 256 MiB.
pub(crate) const MAX_BYTES: u128 = 256 << 20;
/// Braces within braces.
const MAX_DEPTH: usize = 16;

/// The names that `text` stands for, in order.
pub(crate) fn expand(text: &str) -> Result<Vec<String>, ManifestError> {
    let bad = |reason: String| ManifestError::BadPattern {
        text: text.to_owned(),
        reason,
    };
    let parts = parse(text, 0).ok_or_else(|| bad(format!("more than {MAX_DEPTH} braces deep")))?;
    let count = count(&parts);
    if count > MAX_FILES as u128 {
        let reason = format!("expands to {count} names, the limit is {MAX_FILES}");
        return Err(bad(reason));
    }
    if count * text.len() as u128 > MAX_BYTES {
        return Err(bad(format!("{count} names of {} bytes", text.len())));
    }
    Ok(names(&parts))
}

/// A stretch of a name.
#[derive(Debug)]
enum Part {
    Text(String),
    /// One of several.
    Choice(Vec<Vec<Part>>),
    /// A number, with zeros in front up to `width`.
    Range(Range),
}

#[derive(Debug)]
struct Range {
    from: u64,
    to: u64,
    step: u64,
    width: usize,
}

/// `None` where braces are too deep.
fn parse(text: &str, depth: usize) -> Option<Vec<Part>> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, braced) = rest.split_at(open);
        parts.push(Part::Text(before.to_owned()));
        let Some((inside, after)) = split_braces(braced) else {
            parts.push(Part::Text(braced.to_owned()));
            return Some(parts);
        };
        let choices = split_commas(inside);
        if choices.len() > 1 {
            let choices = choices.into_iter().map(|choice| parse(choice, depth + 1));
            parts.push(Part::Choice(choices.collect::<Option<_>>()?));
        } else if let Some(range) = Range::parse(inside) {
            parts.push(Part::Range(range));
        } else {
            parts.push(Part::Text("{".to_owned()));
            parts.extend(parse(inside, depth + 1)?);
            parts.push(Part::Text("}".to_owned()));
        }
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    Some(parts)
}

/// What is inside the braces that `text` begins with, and what comes after them.
fn split_braces(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[1..at], &text[at + 1..]));
        }
    }
    None
}

/// Split at the commas that are not within braces.
fn split_commas(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

fn count(parts: &[Part]) -> u128 {
    parts.iter().fold(1, |product: u128, part| {
        product.saturating_mul(match part {
            Part::Text(_) => 1,
            Part::Choice(choices) => choices
                .iter()
                .fold(0, |sum: u128, choice| sum.saturating_add(count(choice))),
            Part::Range(range) => range.count(),
        })
    })
}

fn names(parts: &[Part]) -> Vec<String> {
    let mut names = vec![String::new()];
    for part in parts {
        match part {
            Part::Text(text) => names.iter_mut().for_each(|name| name.push_str(text)),
            Part::Choice(choices) => {
                let endings: Vec<String> = choices
                    .iter()
                    .flat_map(|choice| self::names(choice))
                    .collect();
                names = with_endings(&names, &endings);
            }
            Part::Range(range) => names = with_endings(&names, &range.names()),
        }
    }
    names
}

fn with_endings(names: &[String], endings: &[String]) -> Vec<String> {
    let mut joined = Vec::with_capacity(names.len() * endings.len());
    for name in names {
        joined.extend(endings.iter().map(|ending| format!("{name}{ending}")));
    }
    joined
}

impl Range {
    /// `000..146`, or `0..100..10`.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split("..");
        let (from, to) = (numbers.next()?, numbers.next()?);
        let step = numbers.next();
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        let padded = |text: &str| text.len() > 1 && text.starts_with('0');
        if numbers.next().is_some() {
            return None;
        }
        Some(Self {
            from: number(from)?,
            to: number(to)?,
            step: step.map_or(Some(1), number)?.max(1),
            width: match padded(from) || padded(to) {
                true => from.len().max(to.len()),
                false => 0,
            },
        })
    }

    fn count(&self) -> u128 {
        u128::from(self.from.abs_diff(self.to) / self.step) + 1
    }

    fn names(&self) -> Vec<String> {
        let steps = (0..=self.from.abs_diff(self.to))
            .step_by(usize::try_from(self.step).unwrap_or(usize::MAX));
        let number = |step| match self.from <= self.to {
            true => self.from + step,
            false => self.from - step,
        };
        steps
            .map(|step| format!("{:0width$}", number(step), width = self.width))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expands_as_a_shell_does() {
        for (text, expected) in [
            ("a.tar", "a.tar"),
            ("t-{000..002}.tar", "t-000.tar t-001.tar t-002.tar"),
            ("{8..10}", "8 9 10"),
            ("{08..10}", "08 09 10"),
            ("{2..0}", "2 1 0"),
            ("{0..10..5}", "0 5 10"),
            ("{a,b}{1,2}", "a1 a2 b1 b2"),
            ("x{a,{b,c}d,}y", "xay xbdy xcdy xy"),
            ("{a{0..1},z}", "a0 a1 z"),
            ("{a}", "{a}"),
            ("{a{b,c}}", "{ab} {ac}"),
            ("a{b", "a{b"),
            ("a}b", "a}b"),
            ("{}", "{}"),
            ("{1..}", "{1..}"),
            ("{1..2..3..4}", "{1..2..3..4}"),
            ("ü{é,1}", "üé ü1"),
        ] {
            assert_eq!(expand(text).unwrap().join(" "), expected, "{text}");
        }
    }

    #[test]
    fn counts_before_it_expands() {
        let nested = format!("{}a,b{}", "{x".repeat(40), "}".repeat(40));
        let long = format!("{}{{0..99999}}", "x".repeat(4096));
        for text in [
            "{0..999999999999}",
            "{0..1048576}",
            "{0..18446744073709551615}{0..18446744073709551615}",
            &"{0..9}".repeat(40),
            &nested,
            &long,
        ] {
            let error = expand(text).unwrap_err();
            assert!(matches!(error, ManifestError::BadPattern { .. }), "{error}");
        }
        assert_eq!(expand("{0..1048575}").unwrap().len(), MAX_FILES);
    }

    proptest! {
        #[test]
        fn survives_any_text(text in "[{},.a0-3é]{0,40}") {
            if let Ok(names) = expand(&text) {
                prop_assert!(!names.is_empty());
            }
        }
    }
}
