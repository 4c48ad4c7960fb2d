//! The servers that tests of this crate talk to.

#[path = "../../tests/places/s3.rs"]
#[expect(dead_code, reason = "the end-to-end tests use the rest")]
pub(crate) mod s3;
#[path = "../../tests/places/web.rs"]
pub(crate) mod web;
