//! The messages of an ONNX file that matter here, read in place.
//!
//! Field numbers: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.

use std::collections::HashSet;
use std::fmt::{self, Display};

use super::wire::{Budget, Fields, Value, varint};

/// The top-level graph; names point into the file.
#[derive(Debug, Default)]
pub(crate) struct Graph<'a> {
    /// Without the weights that old files list among their inputs.
    pub(super) inputs: Vec<Tensor<'a>>,
    pub(super) outputs: Vec<Tensor<'a>>,
    /// Tensors inside whose shape the exporter wrote down.
    pub(super) described: Vec<Tensor<'a>>,
    /// In an order in which they can run, as ONNX demands.
    pub(super) nodes: Vec<Node<'a>>,
    /// Elements of all weights.
    pub(super) parameters: u64,
    /// Of ONNX's own operators; 0 where it is not said.
    pub(super) opset: u64,
    pub(super) producer: &'a str,
    weights: HashSet<&'a str>,
    weights_elsewhere: bool,
}

#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) op: &'a str,
}

#[derive(Debug, Default)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    /// ONNX's number of its element type, 0 where it is not said.
    pub(super) element: u64,
    pub(super) shape: Option<Vec<Size<'a>>>,
}

/// Of one dimension.
#[derive(Debug)]
pub(super) enum Size<'a> {
    Fixed(u64),
    /// Known when it runs; the name may be empty.
    Named(&'a str),
}

impl Display for Size<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Named("") => f.write_str("?"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl<'a> Graph<'a> {
    /// The error says what is wrong with the file.
    pub(crate) fn parse(onnx: &'a [u8]) -> Result<Self, String> {
        let budget = Budget::new();
        let mut graph = Self::default();
        let mut found = false;
        for field in budget.fields(onnx) {
            match field? {
                (2, value) => graph.producer = value.text()?,
                (7, value) => {
                    found = true;
                    graph.read(value.bytes()?, &budget)?;
                }
                (8, value) => graph.read_opset(budget.fields(value.bytes()?))?,
                _ => {}
            }
        }
        if !found {
            return Err("it holds no graph".to_owned());
        }
        let Self {
            inputs, weights, ..
        } = &mut graph;
        inputs.retain(|input| !weights.contains(input.name));
        Ok(graph)
    }

    /// Whether weights are in other files, which a graph in memory cannot find.
    pub(crate) fn has_weights_elsewhere(&self) -> bool {
        self.weights_elsewhere
    }

    /// Names of all tensors that are computed.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &'a str> + '_ {
        let outputs = self.nodes.iter().flat_map(|node| node.outputs.iter());
        outputs.copied().filter(|name| !name.is_empty())
    }

    fn read(&mut self, message: &'a [u8], budget: &Budget) -> Result<(), String> {
        for field in budget.fields(message) {
            let (number, value) = field?;
            match number {
                1 => self.nodes.push(Node::read(budget.fields(value.bytes()?))?),
                5 => self.read_weights(budget.fields(value.bytes()?))?,
                11 => self.inputs.push(Tensor::read(value.bytes()?, budget)?),
                12 => self.outputs.push(Tensor::read(value.bytes()?, budget)?),
                13 => self.described.push(Tensor::read(value.bytes()?, budget)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_opset(&mut self, fields: Fields<'a, '_>) -> Result<(), String> {
        let (mut domain, mut version) = ("", 0);
        for field in fields {
            match field? {
                (1, value) => domain = value.text()?,
                (2, value) => version = value.varint()?,
                _ => {}
            }
        }
        if matches!(domain, "" | "ai.onnx") {
            self.opset = version;
        }
        Ok(())
    }

    fn read_weights(&mut self, fields: Fields<'a, '_>) -> Result<(), String> {
        let mut elements = 1_u64;
        for field in fields {
            match field? {
                (1, Value::Varint(size)) => elements = elements.saturating_mul(size),
                // Packed.
                (1, value) => {
                    let mut sizes = value.bytes()?;
                    while !sizes.is_empty() {
                        elements = elements.saturating_mul(varint(&mut sizes)?);
                    }
                }
                (8, value) => {
                    self.weights.insert(value.text()?);
                }
                // TensorProto.EXTERNAL
                (14, value) => self.weights_elsewhere |= value.varint()? == 1,
                _ => {}
            }
        }
        self.parameters = self.parameters.saturating_add(elements);
        Ok(())
    }
}

impl<'a> Node<'a> {
    fn read(fields: Fields<'a, '_>) -> Result<Self, String> {
        let mut node = Self::default();
        for field in fields {
            match field? {
                (1, value) => node.inputs.push(value.text()?),
                (2, value) => node.outputs.push(value.text()?),
                (4, value) => node.op = value.text()?,
                _ => {}
            }
        }
        Ok(node)
    }
}

impl<'a> Tensor<'a> {
    /// A `ValueInfoProto`; of its type only tensors matter.
    fn read(message: &'a [u8], budget: &Budget) -> Result<Self, String> {
        let mut tensor = Self::default();
        let mut types = Vec::new();
        for field in budget.fields(message) {
            match field? {
                (1, value) => tensor.name = value.text()?,
                (2, value) => types.extend(budget.fields(value.bytes()?)),
                _ => {}
            }
        }
        for field in types {
            if let (1, value) = field? {
                tensor.read_type(value.bytes()?, budget)?;
            }
        }
        Ok(tensor)
    }

    fn read_type(&mut self, message: &'a [u8], budget: &Budget) -> Result<(), String> {
        for field in budget.fields(message) {
            match field? {
                (1, value) => self.element = value.varint()?,
                (2, value) => self.read_shape(value.bytes()?, budget)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_shape(&mut self, message: &'a [u8], budget: &Budget) -> Result<(), String> {
        let shape = self.shape.get_or_insert_default();
        for field in budget.fields(message) {
            if let (1, value) = field? {
                let mut size = Size::Named("");
                for field in budget.fields(value.bytes()?) {
                    match field? {
                        (1, value) => size = Size::Fixed(value.varint()?),
                        (2, value) => size = Size::Named(value.text()?),
                        _ => {}
                    }
                }
                shape.push(size);
            }
        }
        Ok(())
    }
}
