//! Geometry of histogram and curves, in the units of an SVG view box.

use std::fmt;

pub(super) const WIDTH: f64 = 460.0;
pub(super) const HEIGHT: f64 = 250.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = HEIGHT - 44.0;

/// Between two bars, as a part of one bar's place.
const GAP: f64 = 0.16;

/// Ticks of an axis, at most; the true number is what round steps give.
const MAX_TICKS: f64 = 5.0;

/// A length or position, written with one decimal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Px(pub(super) f64);

/// Bars or a curve between two axes.
pub(super) struct Chart {
    /// What it shows, for readers that cannot see it.
    pub(super) description: &'static str,
    pub(super) x_title: &'static str,
    pub(super) y_title: &'static str,
    pub(super) x_ticks: Vec<Tick>,
    pub(super) y_ticks: Vec<Tick>,
    pub(super) bars: Vec<Bar>,
    /// The curve, as the `points` of a polyline.
    pub(super) line: String,
    pub(super) points: Vec<Point>,
    /// A value that the curve is measured against.
    pub(super) rule: Option<Tick>,
}

/// A labelled position on an axis.
#[derive(Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) at: Px,
    pub(super) label: String,
}

#[derive(Debug)]
pub(super) struct Bar {
    pub(super) x: Px,
    pub(super) y: Px,
    pub(super) width: Px,
    pub(super) height: Px,
    pub(super) hover: String,
}

/// A point of a curve, with the upright strip in which it answers to the pointer.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) x: Px,
    pub(super) y: Px,
    pub(super) strip_x: Px,
    pub(super) strip_width: Px,
    pub(super) hover: String,
    pub(super) chosen: bool,
}

/// A value of a curve.
pub(super) struct Value {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) hover: String,
    /// Drawn larger.
    pub(super) chosen: bool,
}

/// What a curve is drawn between.
pub(super) struct Frame {
    pub(super) description: &'static str,
    pub(super) x_title: &'static str,
    pub(super) y_title: &'static str,
    pub(super) y: Axis,
    pub(super) rule: Option<(f64, &'static str)>,
}

/// The range of values that an axis covers; never empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    min: f64,
    max: f64,
}

/// Counts of equal bins over [0, 1].
pub(super) fn histogram(counts: &[u64]) -> Chart {
    let y = Axis::new(
        0.0,
        counts.iter().copied().max().unwrap_or_default().max(1) as f64,
    );
    let total: u64 = counts.iter().sum();
    let bins = counts.len() as f64;
    let place = (RIGHT - LEFT) / bins.max(1.0);
    let bar = |(i, count): (usize, &u64)| {
        let top = y.upward(*count as f64);
        Bar {
            x: Px(LEFT + place * (i as f64 + GAP / 2.0)),
            y: Px(top),
            width: Px(place * (1.0 - GAP)),
            height: Px(BOTTOM - top),
            hover: format!(
                "difficulty {:.3} to {:.3}: {count} samples ({:.1} %)",
                i as f64 / bins,
                (i + 1) as f64 / bins,
                100.0 * *count as f64 / total.max(1) as f64
            ),
        }
    };
    Chart {
        description: "Histogram of difficulties",
        x_title: "difficulty",
        y_title: "samples",
        x_ticks: Axis::new(0.0, 1.0).ticks(Axis::rightward),
        y_ticks: y.ticks(Axis::upward),
        bars: counts.iter().enumerate().map(bar).collect(),
        line: String::new(),
        points: Vec::new(),
        rule: None,
    }
}

/// A line through `values`, which ascend in x. Values that are not finite are left out.
pub(super) fn curve(frame: Frame, values: Vec<Value>) -> Chart {
    let values: Vec<Value> = values
        .into_iter()
        .filter(|v| v.x.is_finite() && v.y.is_finite())
        .collect();
    let x = Axis::around(values.iter().map(|value| value.x));
    let y = frame.y;
    let xs: Vec<f64> = values.iter().map(|value| x.rightward(value.x)).collect();
    let at = |(i, value): (usize, Value)| {
        let middle = |a: f64, b: Option<&f64>, edge| b.map_or(edge, |b| f64::midpoint(a, *b));
        let left = middle(xs[i], i.checked_sub(1).and_then(|i| xs.get(i)), LEFT);
        let right = middle(xs[i], xs.get(i + 1), RIGHT);
        Point {
            x: Px(xs[i]),
            y: Px(y.upward(value.y)),
            strip_x: Px(left),
            strip_width: Px(right - left),
            hover: value.hover,
            chosen: value.chosen,
        }
    };
    let points: Vec<Point> = values.into_iter().enumerate().map(at).collect();
    let corners: Vec<String> = points.iter().map(|p| format!("{},{}", p.x, p.y)).collect();
    let rule = |(value, label): (f64, &str)| Tick {
        at: Px(y.upward(value)),
        label: label.into(),
    };
    Chart {
        description: frame.description,
        x_title: frame.x_title,
        y_title: frame.y_title,
        x_ticks: x.ticks(Axis::rightward),
        y_ticks: y.ticks(Axis::upward),
        bars: Vec::new(),
        line: corners.join(" "),
        points,
        rule: frame.rule.map(rule),
    }
}

impl Axis {
    /// From `min` to `max`; an empty range is widened.
    pub(super) fn new(min: f64, max: f64) -> Self {
        if max > min {
            Self { min, max }
        } else {
            Self {
                min: min - 0.5,
                max: min + 0.5,
            }
        }
    }

    /// Over all finite `values`; [0, 1] when there are none.
    pub(super) fn around(values: impl Iterator<Item = f64>) -> Self {
        let wider = |(min, max): (f64, f64), value: f64| (min.min(value), max.max(value));
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        let (min, max) = values.filter(|value| value.is_finite()).fold(start, wider);
        if min > max {
            Self::new(0.0, 1.0)
        } else {
            Self::new(min, max)
        }
    }

    /// With a tenth of its length added at each end.
    pub(super) fn padded(self) -> Self {
        let more = 0.1 * (self.max - self.min);
        Self {
            min: self.min - more,
            max: self.max + more,
        }
    }

    fn share(self, value: f64) -> f64 {
        ((value - self.min) / (self.max - self.min)).clamp(0.0, 1.0)
    }

    fn rightward(self, value: f64) -> f64 {
        LEFT + self.share(value) * (RIGHT - LEFT)
    }

    fn upward(self, value: f64) -> f64 {
        BOTTOM - self.share(value) * (BOTTOM - TOP)
    }

    /// Multiples of 1, 2 or 5 times a power of ten.
    fn ticks(self, place: fn(Self, f64) -> f64) -> Vec<Tick> {
        let rough = (self.max - self.min) / MAX_TICKS;
        let power = 10f64.powf(rough.log10().floor());
        let round = [1.0, 2.0, 5.0]
            .into_iter()
            .find(|m| m * power >= rough)
            .unwrap_or(10.0);
        let step = round * power;
        let (unit, suffix) = match self.max {
            max if max >= 1e7 => (1e6, "M"),
            max if max >= 1e4 => (1e3, "k"),
            _ => (1.0, ""),
        };
        let decimals = (-(step / unit).log10().floor()).clamp(0.0, 9.0) as usize;
        let (first, last) = ((self.min / step).ceil(), (self.max / step + 1e-9).floor());
        let tick = |i: u32| {
            let value = (first + f64::from(i)) * step;
            Tick {
                at: Px(place(self, value)),
                label: format!("{:.decimals$}{suffix}", value / unit),
            }
        };
        (0..=(last - first).clamp(0.0, 2.0 * MAX_TICKS) as u32)
            .map(tick)
            .collect()
    }
}

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.0)
    }
}

#[cfg(test)]
mod tests;
