//! The methods that calls are counted by: those of the contract, of health and of reflection. What else
//! clients call is one method, so that they cannot make labels.

use crate::{
    access::methods,
    metrics::{IN_FLIGHT, REQUEST_SECONDS, REQUESTS},
};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use std::{collections::HashMap, sync::Arc};

/// Names of gRPC's codes, by their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

const OTHER: &str = "other";

/// By path.
pub(super) struct Methods {
    known: HashMap<&'static str, Arc<Method>>,
    other: Arc<Method>,
}

/// The series of a method.
pub(super) struct Method {
    pub(super) in_flight: Gauge,
    pub(super) seconds: Histogram,
    /// By the number of the code.
    pub(super) ended: [Counter; CODES.len()],
}

impl Methods {
    /// Lets all series appear.
    pub(super) fn new() -> Self {
        let known = methods::paths().map(|path| {
            let method = Method::new(path.trim_start_matches('/'));
            (path, Arc::new(method))
        });
        Self {
            known: known.collect(),
            other: Arc::new(Method::new(OTHER)),
        }
    }

    pub(super) fn of(&self, path: &str) -> Arc<Method> {
        Arc::clone(self.known.get(path).unwrap_or(&self.other))
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.known.len() + 1
    }
}

impl Method {
    fn new(name: &str) -> Self {
        let method = || name.to_owned();
        let ended = CODES.map(|code| {
            let counter = counter!(REQUESTS, "method" => method(), "code" => code);
            counter.increment(0);
            counter
        });
        let in_flight = gauge!(IN_FLIGHT, "method" => method());
        in_flight.set(0.0);
        Self {
            in_flight,
            seconds: histogram!(REQUEST_SECONDS, "method" => method()),
            ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn every_method_and_code_has_its_name() {
        let methods = Methods::new();
        for path in [
            "/curriculum.v1.CurriculumService/GetWeights",
            "/curriculum.v1.IngestService/SubmitJob",
            "/grpc.health.v1.Health/Check",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(methods.known.contains_key(path), "{path}");
        }
        for (number, name) in (0..).zip(CODES) {
            let code = format!("{:?}", Code::from_i32(number)).to_uppercase();
            assert_eq!(name.replace('_', ""), code);
        }
    }
}
