//! Jobs on a real store, with an extractor that counts.

mod resume;
mod rules;
mod support;
