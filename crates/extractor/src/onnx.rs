//! What this crate needs to know of an ONNX file: names, shapes and the residual stream, read in
//! place; and how a tensor becomes an output.
//!
//! - `wire`: protobuf's fields, without copies
//! - `graph`: the messages of interest
//! - `blocks`: transformer blocks by the structure of the graph
//! - `expose`: bytes that add an output to a file
//! - `summary`: all of it for people

mod blocks;
mod expose;
mod graph;
mod summary;
mod wire;

pub(crate) use expose::expose;
pub(crate) use graph::Graph;
pub use summary::{GraphSummary, TensorSummary};

#[cfg(test)]
mod tests;
