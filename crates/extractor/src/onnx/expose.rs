//! Bytes that make a tensor an output when they are appended to an ONNX file.
//!
//! Protobuf parsers merge what is concatenated: lists grow, so a second `ModelProto` with a graph of
//! one output (and, where needed, one node) adds these to the first.
//! Source: <https://protobuf.dev/programming-guides/encoding/#last-one-wins>.

use super::graph::Graph;
use super::wire::put;

/// The name of an output, and what the file needs at its end for it: nothing for what is one.
///
/// `sum` is the tensor, or several whose sum it is; never empty.
pub(crate) fn expose(graph: &Graph<'_>, sum: &[&str]) -> (String, Vec<u8>) {
    let mut addition = Vec::new();
    let name = match sum {
        [name] => (*name).to_owned(),
        terms => {
            let name = format!("{}/sum", terms.join("+"));
            put(&mut addition, 1, &sum_node(terms, &name));
            name
        }
    };
    if graph.outputs.iter().any(|output| output.name == name) {
        return (name, Vec::new());
    }
    let mut output = Vec::new();
    put(&mut output, 1, name.as_bytes());
    put(&mut addition, 12, &output);
    let mut suffix = Vec::new();
    put(&mut suffix, 7, &addition);
    (name, suffix)
}

/// A `NodeProto` of ONNX's `Sum`, which takes any number of terms.
fn sum_node(terms: &[&str], name: &str) -> Vec<u8> {
    let mut node = Vec::new();
    for term in terms {
        put(&mut node, 1, term.as_bytes());
    }
    put(&mut node, 2, name.as_bytes());
    put(&mut node, 4, b"Sum");
    node
}
