//! Tables, bars and numbers on standard output.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

/// Width of the longest bar, in characters.
const BAR_WIDTH: usize = 40;

/// Lines of a histogram, at most; neighbouring bins share one.
const HISTOGRAM_LINES: usize = 25;

/// A table with these column titles.
pub(crate) fn table<const N: usize>(titles: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(titles);
    table
}

/// A number, to the right.
pub(crate) fn number(value: impl ToString) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

/// `value` of `most` as a bar of at most `width` characters.
pub(crate) fn bar(value: f64, most: f64, width: usize) -> String {
    let share = if most > 0.0 {
        (value / most).clamp(0.0, 1.0)
    } else {
        0.0
    };
    "█".repeat((share * width as f64).round() as usize)
}

/// Prints to standard output; a reader that went away is no error.
pub(crate) fn print(text: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Milliseconds since 1970 as seconds ago.
pub(crate) fn ago(at_ms: u64) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at_ms);
    let elapsed = at.elapsed().unwrap_or_default();
    format!("{} ago", indicatif::HumanDuration(elapsed))
}

/// `value` with a comma between groups of three digits.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A histogram over [0, 1].
pub(crate) fn chart(counts: &[u64]) -> String {
    let shared = counts.len().div_ceil(HISTOGRAM_LINES).max(1);
    let lines: Vec<u64> = counts
        .chunks(shared)
        .map(|bins| bins.iter().sum())
        .collect();
    let most = lines.iter().copied().max().unwrap_or_default() as f64;
    let line = |(i, count): (usize, &u64)| {
        let from = (i * shared) as f64 / counts.len() as f64;
        format!(
            "{from:.2}  {count:>9}  {}",
            bar(*count as f64, most, BAR_WIDTH)
        )
    };
    lines
        .iter()
        .enumerate()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The Davies–Bouldin index of each number of clusters that was tried; the lowest is best.
pub(crate) fn curve(tried: &[(usize, f64)], chosen: usize) -> Table {
    let mut table = table(["clusters", "Davies–Bouldin", "", ""]);
    let most = tried.iter().map(|(_, index)| *index).fold(0.0, f64::max);
    for (clusters, index) in tried {
        table.add_row([
            number(clusters),
            number(format!("{index:.4}")),
            bar(*index, most, BAR_WIDTH).into(),
            if *clusters == chosen { "chosen" } else { "" }.into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_without_samples_have_no_bars() {
        assert_eq!(chart(&[]), "");
        assert_eq!(
            chart(&[0, 2]),
            format!("0.00          0  \n0.50          2  {}", "█".repeat(40))
        );
    }

    #[test]
    fn long_histograms_share_lines() {
        let text = chart(&[1; 51]);
        let counts: Vec<u64> = text
            .lines()
            .map(|line| line.split_whitespace().nth(1).unwrap().parse().unwrap())
            .collect();
        assert!(
            counts.len() <= HISTOGRAM_LINES && counts.iter().sum::<u64>() == 51,
            "{text}"
        );
    }

    #[test]
    fn the_chosen_number_of_clusters_is_marked() {
        let text = curve(&[(2, 0.5), (3, 1.0)], 3).to_string();
        let chosen: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("chosen"))
            .collect();
        assert!(chosen.len() == 1 && chosen[0].contains('3'), "{text}");
        assert!(chosen[0].contains(&"█".repeat(BAR_WIDTH)), "{text}");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1234567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
