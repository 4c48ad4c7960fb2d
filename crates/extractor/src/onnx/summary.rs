//! A graph for people.

use std::collections::HashMap;

use super::graph::{Graph, Tensor};
use crate::ExtractorError;

/// What is in an ONNX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphSummary {
    /// The program that wrote it; may be empty.
    pub producer: String,
    /// Version of ONNX's operators; 0 where it is not said.
    pub opset: u64,
    /// Operators.
    pub nodes: usize,
    /// Elements of all weights.
    pub parameters: u64,
    /// Size of the file, in bytes.
    pub bytes: usize,
    /// Whether weights are in other files, which makes it unusable here.
    pub weights_elsewhere: bool,
    /// What it is given.
    pub inputs: Vec<TensorSummary>,
    /// What it gives.
    pub outputs: Vec<TensorSummary>,
    /// Output of each transformer block, the first for `block:0`; no name where it lies inside a
    /// fused operator, which is no obstacle to choosing it.
    pub blocks: Vec<TensorSummary>,
    /// All that is computed and can be chosen as a layer.
    pub tensors: Vec<TensorSummary>,
}

/// One tensor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TensorSummary {
    /// As in the file.
    pub name: String,
    /// Its elements, such as `f32`; empty where the file does not say.
    pub element: String,
    /// Sizes, such as `batch, 3, 224, 224`; none where the file does not say.
    pub shape: Option<Vec<String>>,
}

impl GraphSummary {
    /// `name` is for messages only.
    pub(crate) fn of(onnx: &[u8], name: &str) -> Result<Self, ExtractorError> {
        let graph = Graph::parse(onnx).map_err(|reason| ExtractorError::GraphMalformed {
            model: name.to_owned(),
            reason,
        })?;
        let described: HashMap<_, _> = graph
            .described
            .iter()
            .chain(&graph.outputs)
            .map(|tensor| (tensor.name, tensor))
            .collect();
        let named = |name: &str| match described.get(name) {
            Some(tensor) => TensorSummary::of(tensor),
            None => TensorSummary {
                name: name.to_owned(),
                ..TensorSummary::default()
            },
        };
        let blocks = graph.blocks();
        let blocks = blocks.iter().map(|block| match block.sum.as_slice() {
            [name] => named(name),
            _ => TensorSummary::default(),
        });
        Ok(Self {
            producer: graph.producer.to_owned(),
            opset: graph.opset,
            nodes: graph.nodes.len(),
            parameters: graph.parameters,
            bytes: onnx.len(),
            weights_elsewhere: graph.has_weights_elsewhere(),
            inputs: graph.inputs.iter().map(TensorSummary::of).collect(),
            outputs: graph.outputs.iter().map(TensorSummary::of).collect(),
            blocks: blocks.collect(),
            tensors: graph.tensors().map(named).collect(),
        })
    }
}

impl TensorSummary {
    fn of(tensor: &Tensor<'_>) -> Self {
        let shape = tensor.shape.as_ref();
        Self {
            name: tensor.name.to_owned(),
            element: element_name(tensor.element),
            shape: shape.map(|shape| shape.iter().map(ToString::to_string).collect()),
        }
    }
}

/// `TensorProto.DataType`
fn element_name(element: u64) -> String {
    let name = match element {
        0 => "",
        1 => "f32",
        2 => "u8",
        3 => "i8",
        6 => "i32",
        7 => "i64",
        9 => "bool",
        10 => "f16",
        11 => "f64",
        16 => "bf16",
        other => return format!("type {other}"),
    };
    name.to_owned()
}
