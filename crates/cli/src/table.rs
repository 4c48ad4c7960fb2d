//! Tables and bars on standard output.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

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
