//! Features from inside a graph, without exporting it again.

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::ExtractorError;
use crate::onnx::{Graph, expose};

/// Near names shown for a tensor that is not there.
const SUGGESTIONS: usize = 5;

/// Bytes of such a name, at most.
const LONGEST_SUGGESTION: usize = 256;

/// Where features are taken inside a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// `block:N`: what transformer block N adds up to, the first being 0 as in `model.blocks[0]` of
    /// timm and PyTorch. It lies before the model's last normalisation.
    Block(usize),
    /// A tensor by its name in the graph.
    Tensor(String),
}

impl Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(index) => write!(f, "block:{index}"),
            Self::Tensor(name) => f.write_str(name),
        }
    }
}

impl FromStr for Layer {
    type Err = String;

    /// The error is a sentence for a command line.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(index) = text.strip_prefix("block:") {
            let index = index.parse().map(Self::Block);
            return index.map_err(|_| format!("must be block:N with N from 0, not {text}"));
        }
        if text.is_empty() || text.len() > 256 || text.contains(char::is_control) {
            return Err("must be block:N or a tensor's name, 1 to 256 printable bytes".to_owned());
        }
        Ok(Self::Tensor(text.to_owned()))
    }
}

/// How a layer becomes an output: its name, and what the file needs at its end.
pub(super) struct Tap {
    pub(super) output: String,
    pub(super) suffix: Vec<u8>,
}

/// `model` is for messages only.
pub(super) fn tap(onnx: &[u8], model: &str, layer: &Layer) -> Result<Tap, ExtractorError> {
    let graph = Graph::parse(onnx).map_err(|reason| ExtractorError::GraphMalformed {
        model: model.to_owned(),
        reason,
    })?;
    let (output, suffix) = match layer {
        Layer::Block(index) => {
            let blocks = graph.blocks();
            let Some(block) = blocks.get(*index) else {
                return Err(ExtractorError::NoSuchBlock {
                    model: model.to_owned(),
                    block: *index,
                    blocks: blocks.len(),
                });
            };
            expose(&graph, &block.sum)
        }
        Layer::Tensor(name) => {
            if !graph.tensors().any(|tensor| tensor == name) {
                return Err(ExtractorError::UnknownTensor {
                    model: model.to_owned(),
                    tensor: name.clone(),
                    near: near(&graph, name),
                });
            }
            expose(&graph, &[name])
        }
    };
    Ok(Tap { output, suffix })
}

/// The names most like `wanted`, the most alike first.
fn near(graph: &Graph<'_>, wanted: &str) -> Vec<String> {
    let mut names: Vec<_> = graph
        .tensors()
        .filter(|name| name.len() <= LONGEST_SUGGESTION)
        .map(|name| (strsim::jaro_winkler(name, wanted), name))
        .collect();
    names.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    names
        .into_iter()
        .take(SUGGESTIONS)
        .map(|(_, name)| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_blocks_or_tensors() {
        for text in [
            "block:0",
            "block:11",
            "/encoder/layer.8/Add_1_output_0",
            "add_3",
        ] {
            assert_eq!(text.parse::<Layer>().unwrap().to_string(), text);
        }
        assert_eq!("block:7".parse(), Ok(Layer::Block(7)));
        for text in ["", "block:", "block:-1", "block:x", "a\nb"] {
            assert!(text.parse::<Layer>().is_err(), "{text}");
        }
    }
}
