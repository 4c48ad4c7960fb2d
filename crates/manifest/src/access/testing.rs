//! The servers that tests of this crate talk to.

#[path = "../../tests/places/s3.rs"]
pub(crate) mod s3;
#[path = "../../tests/places/web.rs"]
pub(crate) mod web;
