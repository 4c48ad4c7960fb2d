//! Progress on standard error: a bar on a terminal, plain lines otherwise.

use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

/// Between two plain lines of the same stage.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Units per second below which a rate and the time left are guesses, as for runs of k-means.
const LOWEST_RATE: f64 = 0.1;

/// Where some work stands.
#[derive(Clone, Debug)]
pub(crate) struct Progress<'a> {
    /// A line is due at once when it changes.
    pub(crate) stage: &'a str,
    pub(crate) activity: &'a str,
    pub(crate) done: u64,
    /// 0 when not known.
    pub(crate) total: u64,
    /// Done per second; 0 when not known.
    pub(crate) rate: f64,
}

/// The one place where progress is shown.
pub(crate) enum Display {
    Bar(ProgressBar),
    Lines {
        stage: String,
        printed: Option<Instant>,
    },
}

impl Display {
    pub(crate) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines {
                stage: String::new(),
                printed: None,
            };
        }
        let bar = ProgressBar::new(0);
        let style =
            ProgressStyle::with_template("{msg:28} {wide_bar:.cyan/blue} {pos}/{len} {prefix}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self::Bar(bar)
    }

    pub(crate) fn show(&mut self, progress: &Progress<'_>) {
        match self {
            Self::Bar(bar) => {
                bar.set_length(progress.total.max(1));
                bar.set_position(progress.done);
                bar.set_message(progress.activity.to_owned());
                bar.set_prefix(speed(progress));
            }
            Self::Lines { stage, printed } => {
                let due = printed.is_none_or(|at| at.elapsed() >= LINE_INTERVAL);
                if due || stage != progress.stage {
                    progress.stage.clone_into(stage);
                    *printed = Some(Instant::now());
                    print_line(progress);
                }
            }
        }
    }

    /// Something to know, beside the progress.
    pub(crate) fn note(&self, text: &str) {
        match self {
            Self::Bar(bar) => bar.println(text),
            Self::Lines { .. } => print_note(text),
        }
    }

    pub(crate) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "progress goes to standard error, results to standard output"
)]
fn print_line(progress: &Progress<'_>) {
    let Progress {
        stage,
        activity,
        done,
        total,
        ..
    } = progress;
    let count = if *total > 0 {
        format!(" {done}/{total}")
    } else {
        String::new()
    };
    eprintln!("{stage}: {activity}{count} {}", speed(progress));
}

#[expect(
    clippy::print_stderr,
    reason = "progress goes to standard error, results to standard output"
)]
fn print_note(text: &str) {
    eprintln!("{text}");
}

/// Rate and time left, where they say something.
fn speed(progress: &Progress<'_>) -> String {
    let Progress { done, total, .. } = *progress;
    if done >= total || progress.rate.is_nan() || progress.rate < LOWEST_RATE {
        return String::new();
    }
    let left = (total - done) as f64 / progress.rate;
    let left = indicatif::HumanDuration(Duration::from_secs_f64(left.clamp(0.0, 1e9)));
    let decimals = usize::from(progress.rate < 10.0);
    format!("{:.decimals$}/s, {left:#} left", progress.rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_shown_where_they_say_something() {
        let speed = |done, total, rate| {
            speed(&Progress {
                stage: "",
                activity: "",
                done,
                total,
                rate,
            })
        };
        assert_eq!(speed(10, 40, 10.0), "10/s, 3s left");
        assert_eq!(speed(1, 2, 0.5), "0.5/s, 2s left");
        for (done, total, rate) in [
            (0, 0, 1.0),
            (2, 2, 1.0),
            (0, 2, 0.0),
            (0, 2, 0.01),
            (0, 2, f64::NAN),
        ] {
            assert_eq!(speed(done, total, rate), "", "{done} {total} {rate}");
        }
        // A time that no clock holds.
        assert!(speed(0, u64::MAX, 1.0).contains("left"));
    }
}
