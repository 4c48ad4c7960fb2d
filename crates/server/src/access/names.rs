//! Patterns of curricula's names.

/// Names in which `*` stands for any characters, also none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(Vec<String>);

impl Names {
    pub(super) fn add(&mut self, pattern: &str) {
        self.0.push(pattern.to_owned());
    }

    pub(crate) fn match_any(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, name))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let Some(end) = parts.pop() else {
        return false;
    };
    // The earliest place of each part leaves most to the others.
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, name, expected) in [
            ("imagenet", "imagenet", true),
            ("imagenet", "imagenet2", false),
            ("imagenet*", "imagenet", true),
            ("imagenet*", "imagenet-vits16", true),
            ("imagenet*", "my-imagenet", false),
            ("*", "anything", true),
            ("*-prod", "a-prod", true),
            ("*-prod", "a-prod2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*ba", "aba", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
