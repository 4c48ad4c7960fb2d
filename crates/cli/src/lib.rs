//! The curriculum binary.
