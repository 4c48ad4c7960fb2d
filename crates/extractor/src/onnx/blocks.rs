//! Transformer blocks, found by the structure of the graph.
//!
//! A block adds to the residual stream twice: s₁ = s₀ + attention(s₀), s₂ = s₁ + mlp(s₁). Exporters
//! agree on nothing else, names least of all. So a residual sum is an addition one side of which,
//! the branch, is computed from the other alone, through at least one matrix product (which sets it
//! apart from GELU's x + 0.044715·x³). A branch with a softmax is attention and begins a block; its
//! last sum is the block's output.

use std::collections::{HashMap, HashSet};

use super::graph::{Graph, Node};

/// Nodes of one branch, at most; attention in single operators has some 60.
const MAX_BRANCH: usize = 256;

/// Their inputs, at most, on average.
const MAX_INPUTS: usize = 16;

/// Operators that copy values, possibly in another order or precision.
const COPIES: [&str; 5] = ["Identity", "Dropout", "Cast", "Reshape", "Transpose"];

/// Copies between a sum and the next, at most.
const MAX_COPIES: usize = 4;

/// One transformer block.
pub(crate) struct Block<'a> {
    /// The tensor that holds its output; or, where a fused operator keeps it to itself, several
    /// that add up to it.
    pub(crate) sum: Vec<&'a str>,
}

impl<'a> Graph<'a> {
    /// Transformer blocks in the order in which they run; none for other architectures.
    pub(crate) fn blocks(&self) -> Vec<Block<'a>> {
        let stream = Stream::new(self);
        let mut blocks: Vec<Block<'a>> = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(residual) = stream.residual(index, node) else {
                continue;
            };
            let sum = residual.sum;
            match blocks.last_mut() {
                _ if residual.attends => blocks.push(Block { sum }),
                Some(block) if stream.continues(block, residual.from) => *block = Block { sum },
                _ => {}
            }
        }
        blocks
    }
}

/// An addition to the residual stream.
struct Residual<'a> {
    from: &'a str,
    sum: Vec<&'a str>,
    attends: bool,
}

/// What the branch of an addition is made of.
#[derive(Default)]
struct Branch {
    multiplies: bool,
    attends: bool,
    reaches_stream: bool,
}

/// Who computes which tensor.
struct Stream<'a, 'g> {
    graph: &'g Graph<'a>,
    producers: HashMap<&'a str, usize>,
    inputs: HashSet<&'a str>,
}

impl<'a, 'g> Stream<'a, 'g> {
    fn new(graph: &'g Graph<'a>) -> Self {
        let outputs = graph.nodes.iter().enumerate().flat_map(|(index, node)| {
            let names = node.outputs.iter().copied();
            names.map(move |name| (name, index))
        });
        Self {
            graph,
            producers: outputs.filter(|(name, _)| !name.is_empty()).collect(),
            inputs: graph.inputs.iter().map(|input| input.name).collect(),
        }
    }

    fn residual(&self, index: usize, node: &Node<'a>) -> Option<Residual<'a>> {
        let fused = is_fused_sum(node.op);
        if !fused && !matches!(node.op, "Add" | "Sum") {
            return None;
        }
        let [a, b, others @ ..] = node.inputs.as_slice() else {
            return None;
        };
        if !fused && !others.is_empty() {
            return None;
        }
        let (from, branch) = [(*a, *b), (*b, *a)]
            .into_iter()
            .find_map(|(from, to)| Some((from, self.branch(from, to, index)?)))?;
        let sum = match (fused, node.outputs.as_slice()) {
            (false, [sum, ..]) => vec![*sum],
            (true, [_, _, _, sum, ..]) if !sum.is_empty() => vec![*sum],
            (true, _) => {
                let bias = others.get(norm_weights(node.op)).copied();
                let bias = bias.filter(|bias| !bias.is_empty());
                [*a, *b].into_iter().chain(bias).collect()
            }
            (false, []) => return None,
        };
        Some(Residual {
            from,
            sum,
            attends: branch.attends,
        })
    }

    /// What lies between `from` and `to`, where all of `to` that is not constant comes from `from`.
    fn branch(&self, from: &str, to: &'a str, before: usize) -> Option<Branch> {
        let source = self.producers.get(from).copied();
        if source.is_none() && !self.inputs.contains(from) {
            return None;
        }
        let mut branch = Branch::default();
        let mut seen = HashSet::new();
        let mut open = vec![to];
        let mut looked_at = 0;
        while let Some(name) = open.pop() {
            looked_at += 1;
            if looked_at > MAX_INPUTS * MAX_BRANCH {
                return None;
            }
            let producer = self.producers.get(name).copied();
            if name == from || (producer.is_some() && producer == source) {
                branch.reaches_stream = true;
                continue;
            }
            let Some(producer) = producer else {
                if self.inputs.contains(name) {
                    return None;
                }
                continue;
            };
            let node = self
                .graph
                .nodes
                .get(producer)
                .filter(|_| producer < before)?;
            // A shape carries no values.
            if matches!(node.op, "Shape" | "Size") || !seen.insert(producer) {
                continue;
            }
            if seen.len() > MAX_BRANCH {
                return None;
            }
            branch.multiplies |= multiplies(node.op);
            branch.attends |= attends(node.op);
            open.extend(node.inputs.iter().filter(|input| !input.is_empty()));
        }
        (branch.reaches_stream && branch.multiplies).then_some(branch)
    }

    /// Whether `from` is the output of `block`, which tells the MLP of the same block from that of a
    /// head.
    fn continues(&self, block: &Block<'a>, from: &'a str) -> bool {
        let mut name = from;
        for _ in 0..=MAX_COPIES {
            if block.sum == [name] {
                return true;
            }
            let producer = self.producers.get(name);
            let node = producer.and_then(|index| self.graph.nodes.get(*index));
            match node.map(|node| (node.op, node.inputs.as_slice())) {
                Some((op, [input, ..])) if COPIES.contains(&op) => name = input,
                _ => return false,
            }
        }
        false
    }
}

/// ONNX Runtime's fusion of the sum and the normalisation after it; its fourth output is the sum.
fn is_fused_sum(op: &str) -> bool {
    matches!(
        op,
        "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization"
    )
}

/// Inputs of a fused sum between its two terms and the bias that belongs to the sum.
fn norm_weights(op: &str) -> usize {
    match op {
        "SkipSimplifiedLayerNormalization" => 1,
        _ => 2,
    }
}

fn attends(op: &str) -> bool {
    op == "Softmax" || op.contains("Attention")
}

fn multiplies(op: &str) -> bool {
    let products = ["MatMul", "Gemm", "Conv", "Einsum"];
    attends(op) || products.iter().any(|product| op.contains(product))
}
