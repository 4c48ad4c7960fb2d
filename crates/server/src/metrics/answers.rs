//! Temperature and effective fraction by curriculum: where trainers are.

use super::catalogue::{EFFECTIVE_FRACTION, ITERATION, TEMPERATURE};
use curriculum::Entry;
use metrics::{Gauge, gauge};
use std::{
    collections::HashMap,
    sync::{LazyLock, PoisonError, RwLock},
};

/// Names that get series of their own; clients may publish any number.
const NAMES: usize = 200;

const OTHER: &str = "other";

/// By the names of curricula that were read.
static SEEN: LazyLock<RwLock<Seen>> = LazyLock::new(RwLock::default);

#[derive(Default)]
struct Seen {
    own: HashMap<String, Gauges>,
    other: Option<Gauges>,
}

#[derive(Clone)]
struct Gauges {
    temperature: Gauge,
    effective_fraction: Gauge,
    iteration: Gauge,
}

/// Shows the entry that an answer was made from; `name` is a curriculum that was found.
pub(crate) fn show(name: &str, entry: &Entry) {
    let known = {
        let seen = SEEN.read().unwrap_or_else(PoisonError::into_inner);
        seen.get(name)
    };
    let gauges = known.unwrap_or_else(|| {
        let mut seen = SEEN.write().unwrap_or_else(PoisonError::into_inner);
        seen.add(name)
    });
    gauges.temperature.set(entry.temperature);
    gauges.effective_fraction.set(entry.effective_fraction);
    gauges.iteration.set(entry.iteration as f64);
}

impl Seen {
    fn get(&self, name: &str) -> Option<Gauges> {
        let own = self.own.get(name);
        let full = self.own.len() >= NAMES;
        own.or(self.other.as_ref().filter(|_| full)).cloned()
    }

    fn add(&mut self, name: &str) -> Gauges {
        if self.own.len() < NAMES {
            let gauges = self.own.entry(name.to_owned());
            return gauges.or_insert_with(|| Gauges::of(name)).clone();
        }
        self.other.get_or_insert_with(|| Gauges::of(OTHER)).clone()
    }
}

impl Gauges {
    fn of(name: &str) -> Self {
        let of = |metric| gauge!(metric, "curriculum" => name.to_owned());
        Self {
            temperature: of(TEMPERATURE),
            effective_fraction: of(EFFECTIVE_FRACTION),
            iteration: of(ITERATION),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn names_beyond_the_bound_share_one() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let mut seen = Seen::default();
            for name in 0..10_000 {
                let name = format!("c{name}");
                let gauges = seen.get(&name).unwrap_or_else(|| seen.add(&name));
                gauges.iteration.set(7.0);
            }
            assert!(seen.get("c0").is_some() && seen.own.len() == NAMES);
        });
        let text = handle.render();
        let series = |line: &&str| line.starts_with("curriculum_iteration{");
        assert_eq!(text.lines().filter(series).count(), NAMES + 1, "{text}");
        assert!(text.contains("curriculum_iteration{curriculum=\"other\"} 7"));
    }
}
