//! `curriculum models inspect`

use super::megabytes;
use crate::{
    exit::BadInput,
    table::{grouped, print, table},
};
use curriculum_extractor::{ExtractorError, GraphSummary, Model, TensorSummary};
use serde_json::json;
use std::path::Path;

/// What a model takes and gives, and the layers that features can be taken at.
///
/// An ONNX file is described even without a TOML beside it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of a model, or an ONNX file.
    #[arg(value_name = "NAME|FILE.onnx")]
    model: String,
    /// List every tensor that can be chosen as a layer, not only the blocks.
    #[arg(long)]
    all: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let inspected = Inspected::open(&args.model).map_err(|error| BadInput(error.to_string()))?;
    match args.json {
        true => print(inspected.to_json(args.all)),
        false => inspected.print(args.all),
    }
    Ok(())
}

struct Inspected {
    graph: GraphSummary,
    /// With its entry, or why there is none.
    model: Result<Model, String>,
}

impl Inspected {
    fn open(name_or_file: &str) -> Result<Self, ExtractorError> {
        match Model::resolve(name_or_file) {
            Ok(model) => Ok(Self {
                graph: model.graph()?,
                model: Ok(model),
            }),
            // The graph of a file says something without an entry, and helps to write one.
            Err(
                error @ (ExtractorError::EntryMissing { .. }
                | ExtractorError::EntryMalformed { .. }
                | ExtractorError::EntryOutOfRange { .. }
                | ExtractorError::WeightsElsewhere { .. }),
            ) => Ok(Self {
                graph: GraphSummary::of_file(Path::new(name_or_file))?,
                model: Err(error.to_string()),
            }),
            Err(error) => Err(error),
        }
    }

    fn print(&self, all: bool) {
        let graph = &self.graph;
        if let Ok(model) = &self.model {
            let entry = model.entry();
            print(format_args!("{}: {}", entry.name, entry.description));
            print(format_args!("digest      {}", hex(&model.digest())));
            print(format_args!(
                "features    {}, tokens {}",
                entry.output, entry.tokens
            ));
        }
        let bytes = u64::try_from(graph.bytes).unwrap_or(u64::MAX);
        print(format_args!(
            "size        {}, {} parameters, {} operators\nopset       {}\nwritten by  {}",
            megabytes(bytes),
            grouped(graph.parameters),
            graph.nodes,
            graph.opset,
            graph.producer
        ));
        let ends = [("input", &graph.inputs), ("output", &graph.outputs)];
        let mut tensors = table(["", "tensor", "elements", "shape"]);
        for (role, list) in ends {
            for tensor in list {
                tensors.add_row([role, &tensor.name, &tensor.element, &shape(tensor)]);
            }
        }
        for (index, block) in graph.blocks.iter().enumerate() {
            let name = block_name(block);
            tensors.add_row([
                &format!("block:{index}"),
                name,
                &block.element,
                &shape(block),
            ]);
        }
        if all {
            for tensor in &graph.tensors {
                tensors.add_row(["inside", &tensor.name, &tensor.element, &shape(tensor)]);
            }
        }
        print(tensors);
        print(self.layers());
        if let Err(reason) = &self.model {
            print(format_args!("It cannot be used yet: {reason}"));
        }
    }

    /// What `--layer` takes, in a sentence.
    fn layers(&self) -> String {
        let tensors = self.graph.tensors.len();
        let blocks = match self.graph.blocks.len().checked_sub(1) {
            None => "no transformer blocks were recognised;".to_owned(),
            Some(last) => format!("block:0 to block:{last}, or"),
        };
        format!("--layer: {blocks} one of {tensors} tensors (--all lists them)")
    }

    fn to_json(&self, all: bool) -> serde_json::Value {
        let graph = &self.graph;
        let blocks = graph.blocks.iter().enumerate().map(|(index, block)| {
            let mut block = tensor_json(block);
            block["layer"] = format!("block:{index}").into();
            block
        });
        let mut object = json!({
            "producer": graph.producer,
            "opset": graph.opset,
            "operators": graph.nodes,
            "parameters": graph.parameters,
            "bytes": graph.bytes,
            "inputs": graph.inputs.iter().map(tensor_json).collect::<Vec<_>>(),
            "outputs": graph.outputs.iter().map(tensor_json).collect::<Vec<_>>(),
            "blocks": blocks.collect::<Vec<_>>(),
        });
        match &self.model {
            Ok(model) => {
                let entry = model.entry();
                object["name"] = entry.name.as_str().into();
                object["description"] = entry.description.as_str().into();
                object["digest"] = hex(&model.digest()).into();
                object["output"] = entry.output.as_str().into();
                object["tokens"] = entry.tokens.to_string().into();
            }
            Err(reason) => object["unusable"] = reason.as_str().into(),
        }
        if all {
            object["tensors"] = graph.tensors.iter().map(tensor_json).collect();
        }
        object
    }
}

fn tensor_json(tensor: &TensorSummary) -> serde_json::Value {
    json!({"tensor": tensor.name, "elements": tensor.element, "shape": tensor.shape})
}

fn block_name(block: &TensorSummary) -> &str {
    match block.name.as_str() {
        "" => "(inside a fused operator)",
        name => name,
    }
}

fn shape(tensor: &TensorSummary) -> String {
    let shape = tensor.shape.as_ref();
    shape.map_or_else(String::new, |shape| format!("({})", shape.join(", ")))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
