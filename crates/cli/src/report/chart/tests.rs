use super::*;

fn frame(y: Axis) -> Frame {
    Frame {
        description: "",
        x_title: "",
        y_title: "",
        y,
        rule: Some((0.5, "half")),
    }
}

fn drawn(values: &[(f64, f64)]) -> Chart {
    let value = |&(x, y): &(f64, f64)| Value {
        x,
        y,
        hover: String::new(),
        chosen: false,
    };
    curve(
        frame(Axis::new(0.0, 1.0)),
        values.iter().map(value).collect(),
    )
}

/// Every coordinate must lie inside the view box.
fn check(chart: &Chart) {
    let inside = |Px(at): Px, most: f64| assert!((0.0..=most).contains(&at), "{at}");
    for bar in &chart.bars {
        inside(bar.x, WIDTH);
        inside(bar.y, HEIGHT);
        inside(Px(bar.x.0 + bar.width.0), WIDTH);
        inside(Px(bar.y.0 + bar.height.0), HEIGHT);
    }
    for point in &chart.points {
        inside(point.x, WIDTH);
        inside(point.y, HEIGHT);
        inside(point.strip_x, WIDTH);
        inside(Px(point.strip_x.0 + point.strip_width.0), WIDTH);
    }
    assert!(!chart.x_ticks.is_empty() && !chart.y_ticks.is_empty());
    chart.x_ticks.iter().for_each(|tick| inside(tick.at, WIDTH));
    chart
        .y_ticks
        .iter()
        .for_each(|tick| inside(tick.at, HEIGHT));
}

#[test]
fn bars_are_as_high_as_their_counts() {
    let chart = histogram(&[1, 4, 0, 2]);
    check(&chart);
    let heights: Vec<f64> = chart.bars.iter().map(|bar| bar.height.0).collect();
    assert_eq!(heights[1], BOTTOM - TOP);
    assert_eq!(heights[0] * 4.0, heights[1]);
    assert_eq!(heights[2], 0.0);
    assert_eq!(
        chart.bars[1].hover,
        "difficulty 0.250 to 0.500: 4 samples (57.1 %)"
    );
}

#[test]
fn empty_and_zero_histograms_have_axes_only() {
    let empty = histogram(&[]);
    check(&empty);
    assert!(empty.bars.is_empty());
    let zero = histogram(&[0, 0, 0]);
    check(&zero);
    assert!(
        zero.bars
            .iter()
            .all(|bar| bar.height.0 == 0.0 && bar.width.0 > 0.0)
    );
}

#[test]
fn one_sample_and_the_largest_counts_are_drawn() {
    check(&histogram(&[1]));
    check(&histogram(&[u64::MAX / 2, 0, 1]));
}

#[test]
fn a_curve_runs_from_edge_to_edge() {
    let chart = drawn(&[(0.0, 0.0), (5.0, 0.5), (10.0, 1.0)]);
    check(&chart);
    assert_eq!(chart.line, "50.0,206.0 248.0,111.0 446.0,16.0");
    assert_eq!(
        chart.rule,
        Some(Tick {
            at: Px(111.0),
            label: "half".to_owned()
        })
    );
    let strips: f64 = chart.points.iter().map(|point| point.strip_width.0).sum();
    assert_eq!(strips, RIGHT - LEFT);
}

#[test]
fn curves_without_points_or_with_one_are_drawn() {
    let empty = drawn(&[]);
    check(&empty);
    assert!(empty.line.is_empty());
    let single = drawn(&[(7.0, 0.5)]);
    check(&single);
    assert_eq!(single.line, "248.0,111.0");
}

#[test]
fn values_that_are_not_finite_are_left_out() {
    let chart = drawn(&[
        (0.0, 0.1),
        (1.0, f64::NAN),
        (2.0, f64::INFINITY),
        (3.0, 9.0),
    ]);
    check(&chart);
    assert_eq!(chart.points.len(), 2);
}

#[test]
fn ticks_are_round_and_few() {
    let labels = |min, max| -> Vec<String> {
        Axis::new(min, max)
            .ticks(Axis::rightward)
            .into_iter()
            .map(|tick| tick.label)
            .collect()
    };
    assert_eq!(labels(0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    assert_eq!(labels(2.0, 20.0), ["5", "10", "15", "20"]);
    assert_eq!(labels(1.31, 1.64), ["1.4", "1.5", "1.6"]);
    assert_eq!(
        labels(0.0, 25_000.0),
        ["0k", "5k", "10k", "15k", "20k", "25k"]
    );
    assert_eq!(labels(0.0, 1.2e7), ["0M", "5M", "10M"]);
    for (min, max) in [(0.0, 1e-9), (0.0, 1e18), (-3.0, 3.0), (5.0, 5.0)] {
        assert!(labels(min, max).len() <= 11, "{min} {max}");
    }
}

#[test]
fn axes_without_length_are_widened() {
    assert_eq!(
        Axis::around([3.0, 3.0].into_iter()),
        Axis { min: 2.5, max: 3.5 }
    );
    assert_eq!(
        Axis::around([f64::NAN].into_iter()),
        Axis { min: 0.0, max: 1.0 }
    );
}
