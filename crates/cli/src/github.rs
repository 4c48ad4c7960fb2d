//! Results as GitHub Actions takes them: a step summary in Markdown, and outputs for later steps.
//!
//! Source: <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.
//! Both are files that the runner names and that steps append to. An output is written with a
//! delimiter that no line of its value equals, so that no value, whatever it holds, can set another.

use crate::exit::BadInput;
use std::{
    env,
    fmt::Write as _,
    fs::File,
    hash::{BuildHasher, RandomState},
    io::Write as _,
    path::{Path, PathBuf},
};

/// Characters of a value in the summary; the runner takes 1 MiB a step.
const MAX_CELL: usize = 2_000;

/// The files of the present step.
#[derive(Debug)]
pub(crate) struct Step {
    summary: Option<PathBuf>,
    output: Option<PathBuf>,
}

impl Step {
    /// As the environment names them.
    ///
    /// # Errors
    /// [`BadInput`] when it names neither: this is no step of a workflow.
    pub(crate) fn from_environment() -> Result<Self, BadInput> {
        let path = |name| {
            let value = env::var_os(name).filter(|path| !path.is_empty());
            value.map(PathBuf::from)
        };
        let step = Self {
            summary: path("GITHUB_STEP_SUMMARY"),
            output: path("GITHUB_OUTPUT"),
        };
        match (&step.summary, &step.output) {
            (None, None) => Err(BadInput(
                "--output github: neither GITHUB_STEP_SUMMARY nor GITHUB_OUTPUT is set, as GitHub \
                 Actions sets them"
                    .to_owned(),
            )),
            _ => Ok(step),
        }
    }

    /// Appends a table of `facts` under `title` to the summary, and sets each of them as an output.
    ///
    /// # Errors
    /// [`BadInput`] when a file cannot be written.
    pub(crate) fn write(&self, title: &str, facts: &[(&str, String)]) -> Result<(), BadInput> {
        if let Some(path) = &self.summary {
            append(path, &summary(title, facts))?;
        }
        match &self.output {
            Some(path) => append(path, &outputs(facts)),
            None => Ok(()),
        }
    }
}

fn append(path: &Path, text: &str) -> Result<(), BadInput> {
    let file = File::options().append(true).create(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| BadInput(format!("cannot write {}: {error}", path.display())))
}

fn summary(title: &str, facts: &[(&str, String)]) -> String {
    let mut text = format!("### {}\n\n| | |\n|---|---|\n", escaped(title));
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} | {} |", escaped(name), escaped(value));
    }
    text.push('\n');
    text
}

/// On one line, and without meaning to Markdown or HTML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for (count, character) in text.chars().enumerate() {
        if count == MAX_CELL {
            safe.push('…');
            break;
        }
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            c if c.is_control() => safe.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                safe.extend(['\\', character]);
            }
            c => safe.push(c),
        }
    }
    safe
}

fn outputs(facts: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in facts {
        let delimiter = delimiter(value);
        let _ = writeln!(text, "{name}<<{delimiter}\n{value}\n{delimiter}");
    }
    text
}

/// Not guessable, and not in the value.
fn delimiter(value: &str) -> String {
    loop {
        let numbers = [(); 2].map(|()| RandomState::new().hash_one(()));
        let delimiter = format!("ghadelimiter_{:016x}{:016x}", numbers[0], numbers[1]);
        if !value.contains(&delimiter) {
            return delimiter;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the runner reads the file.
    fn parse(text: &str) -> Vec<(String, String)> {
        let mut lines = text.lines();
        let mut facts = Vec::new();
        while let Some(line) = lines.next() {
            let (name, delimiter) = line.split_once("<<").unwrap();
            let value: Vec<_> = lines
                .by_ref()
                .take_while(|line| *line != delimiter)
                .collect();
            facts.push((name.to_owned(), value.join("\n")));
        }
        facts
    }

    #[test]
    fn no_value_can_set_another_output() {
        let facts = [
            (
                "reason",
                "a\nversion=evil\nversion<<x\nevil\nx\nghadelimiter_".to_owned(),
            ),
            ("version", "1".to_owned()),
            ("empty", String::new()),
        ];
        let expected: Vec<_> = facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        assert_eq!(parse(&outputs(&facts)), expected);
        assert_ne!(delimiter(""), delimiter(""));
    }

    #[test]
    fn no_value_leaves_its_cell() {
        let facts = [("reason", "a|b\n| c | <img src=x> `d` [e](f) |".to_owned())];
        let text = summary("`t`\n# x", &facts);
        let rows: Vec<_> = text.lines().collect();
        assert_eq!(rows.len(), 6, "{text}");
        assert_eq!(rows[0], "### \\`t\\` \\# x");
        assert!(!text.contains('<') && !text.contains(" | c"), "{text}");
        // An escaped bar has a backslash before it: two are left, the cells' own.
        assert_eq!(rows[4].matches(" |").count(), 2, "{text}");
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(escaped(&"ü".repeat(3_000)).chars().count(), MAX_CELL + 1);
    }
}
