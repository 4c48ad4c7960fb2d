//! Access to real servers: an S3-compatible one, and a web server that misbehaves.

mod buckets;
mod servers;
mod shared;
mod vendors;

use std::time::Duration;

use crate::access::{Access, AccessError, AccessOptions, Allow, Settings};
use crate::place::Place;

/// Impatient, so that a test of failures is short.
fn options() -> AccessOptions {
    AccessOptions {
        first_backoff: Duration::from_millis(1),
        retries: 3,
        read_timeout: Duration::from_millis(500),
        ..AccessOptions::default()
    }
}

fn only(prefixes: &[&str]) -> Access {
    let allow = Allow::Only(prefixes.iter().map(|&prefix| prefix.to_owned()).collect());
    Access::new(AccessOptions { allow, ..options() }).unwrap()
}

fn anything() -> Access {
    Access::new(options()).unwrap()
}

fn place(text: &str) -> Place {
    Place::parse(text).unwrap()
}

fn read(access: &Access, text: &str) -> Result<Vec<u8>, AccessError> {
    access.read(&place(text), None)
}

fn refusal(result: Result<Vec<u8>, AccessError>) -> String {
    match result {
        Err(error @ AccessError::Refused { .. }) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}
