use super::*;

fn ramp() -> Sketch {
    Sketch::new(&(0..5000).map(|i| i as f32 / 4999.0).collect::<Vec<_>>())
}

fn options() -> ScheduleOptions {
    ScheduleOptions {
        initial_effective_fraction: Some(0.2),
        warmup_iterations: Some(1000),
        ..ScheduleOptions::default()
    }
}

fn field(options: ScheduleOptions) -> &'static str {
    match Schedule::new(&options, 1000) {
        Err(CurriculumError::ScheduleOutOfRange { field, .. }) => field,
        other => panic!("{options:?}: {other:?}"),
    }
}

#[test]
fn every_pacing_meets_its_targets() {
    let (sketch, ceiling) = (ramp(), effective::ceiling(5000, 5000));
    for pacing in Pacing::ALL {
        let options = ScheduleOptions {
            pacing: Some(pacing),
            ..options()
        };
        let schedule = Schedule::new(&options, 5000).unwrap();
        for t in [0, 1, 250, 500, 999] {
            let entry = schedule.entry(&sketch, Order::EasyFirst, t);
            let target = pacing.value(t as f64 / 1000.0, 0.2, ceiling);
            assert_eq!(entry.target, target);
            assert!((entry.effective_fraction - target).abs() < 1e-9);
            assert_eq!((entry.status, entry.phase), (Status::Ok, Phase::Warmup));
        }
    }
}

#[test]
fn linear_pacing_is_a_straight_line() {
    let schedule = Schedule::new(&options(), 5000).unwrap();
    let ceiling = effective::ceiling(5000, 5000);
    for t in [0, 1, 250, 999] {
        let line = 0.2 + (ceiling - 0.2) * t as f64 / 1000.0;
        assert!((schedule.target(t) - line).abs() < 1e-15);
    }
}

#[test]
fn after_warmup_and_without_one_weights_are_uniform() {
    for (warmup, iteration) in [(1000, 1000), (1000, u64::MAX), (0, 0)] {
        let options = ScheduleOptions {
            warmup_iterations: Some(warmup),
            max_effective_ratio: Some(0.5),
            max_temperature: Some(0.1),
            ..options()
        };
        let schedule = Schedule::new(&options, 5000).unwrap();
        let entry = schedule.entry(&ramp(), Order::EasyFirst, iteration);
        assert_eq!(
            (entry.status, entry.phase),
            (Status::Uniform, Phase::Uniform)
        );
        assert_eq!(entry.temperature, f64::INFINITY);
        assert_eq!(entry.effective_fraction, effective::ceiling(5000, 5000));
    }
}

#[test]
fn the_ramp_ends_at_the_largest_ratio() {
    let options = ScheduleOptions {
        max_effective_ratio: Some(0.4),
        ..options()
    };
    let schedule = Schedule::new(&options, 5000).unwrap();
    assert!((schedule.target(500) - 0.3).abs() < 1e-15);
    assert!((schedule.target(999) - 0.4).abs() < 1e-3);
}

#[test]
fn temperatures_are_clamped_and_say_so() {
    let sketch = ramp();
    let free = Schedule::new(&options(), 5000).unwrap();
    let free = free.entry(&sketch, Order::EasyFirst, 500).temperature;
    for (min, max, bound) in [
        (Some(2.0 * free), None, 2.0 * free),
        (None, Some(free / 2.0), free / 2.0),
    ] {
        let options = ScheduleOptions {
            min_temperature: min,
            max_temperature: max,
            ..options()
        };
        let schedule = Schedule::new(&options, 5000).unwrap();
        let entry = schedule.entry(&sketch, Order::EasyFirst, 500);
        assert_eq!((entry.status, entry.temperature), (Status::Clamped, bound));
        assert_eq!(
            (min.is_some(), max.is_some()),
            (
                entry.effective_fraction > entry.target,
                entry.effective_fraction < entry.target
            )
        );
    }
}

#[test]
fn values_outside_their_range_name_their_field() {
    for value in [0.0, -0.1, 0.7, 1.0, f64::NAN, f64::INFINITY] {
        let options = ScheduleOptions {
            initial_effective_fraction: Some(value),
            ..options()
        };
        assert_eq!(field(options), "initial_effective_fraction", "{value}");
    }
    for value in [0.0, -1.0, 0.64, f64::NAN, f64::INFINITY] {
        let options = ScheduleOptions {
            max_effective_ratio: Some(value),
            ..options()
        };
        assert_eq!(field(options), "max_effective_ratio", "{value}");
    }
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let (min, max) = (options(), options());
        let min = ScheduleOptions {
            min_temperature: Some(value),
            ..min
        };
        let max = ScheduleOptions {
            max_temperature: Some(value),
            ..max
        };
        assert_eq!(field(min), "min_temperature", "{value}");
        assert_eq!(field(max), "max_temperature", "{value}");
    }
}

#[test]
fn values_at_odds_with_each_other_name_their_field() {
    let crossed = ScheduleOptions {
        min_temperature: Some(2.0),
        max_temperature: Some(1.0),
        ..options()
    };
    assert_eq!(field(crossed), "max_temperature");
    let below_start = ScheduleOptions {
        max_effective_ratio: Some(0.2),
        ..options()
    };
    assert_eq!(field(below_start), "initial_effective_fraction");
    let nothing = ScheduleOptions {
        draws: Some(0),
        ..options()
    };
    assert_eq!(field(nothing), "draws");
}

#[test]
fn an_error_states_value_and_range() {
    let options = ScheduleOptions {
        initial_effective_fraction: Some(0.9),
        ..options()
    };
    let message = Schedule::new(&options, 1000).unwrap_err().to_string();
    assert_eq!(
        message,
        "initial_effective_fraction is 0.9, but must be strictly between 0 and 0.632305, the ceiling for 1000 samples"
    );
}

#[test]
fn presets_follow_dataset_size_and_fill_what_is_absent() {
    let preset = |n| (Schedule::preset(n).initial(), Schedule::preset(n).warmup());
    assert_eq!(preset(9_999), (0.30, 1_500));
    assert_eq!(preset(10_000), (0.20, 3_500));
    assert_eq!(preset(100_000), (0.20, 3_500));
    assert_eq!(preset(100_001), (0.125, 7_500));
    for samples in [0, 1, 2, 1_000, 10_000, 1_000_000] {
        let filled = Schedule::new(&ScheduleOptions::default(), samples).unwrap();
        assert_eq!(filled, Schedule::preset(samples));
    }
}

#[test]
fn fewer_draws_lower_ceiling_and_preset_start() {
    let options = ScheduleOptions {
        draws: Some(500),
        ..ScheduleOptions::default()
    };
    let schedule = Schedule::new(&options, 5000).unwrap();
    assert!((schedule.ceiling() - effective::ceiling(5000, 500)).abs() < 1e-15);
    assert!((schedule.initial() / schedule.ceiling() - 0.3 / 0.632_12).abs() < 1e-5);
    let entry = schedule.entry(&ramp(), Order::HardFirst, 700);
    assert_eq!(entry.status, Status::Ok);
    assert!((entry.effective_fraction - entry.target).abs() < 1e-9);
}
