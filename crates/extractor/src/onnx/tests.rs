use super::*;
use crate::ExtractorError;
use crate::model::{Layer, Model};
use proptest::prelude::*;
use prost::Message;

/// ONNX's messages by another decoder, as far as these tests need them.
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(message, optional, tag = "7")]
    graph: Option<Proto>,
    #[prost(message, repeated, tag = "8")]
    opsets: Vec<Opset>,
}

#[derive(Clone, PartialEq, Message)]
struct Opset {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Proto {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    weights: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    inputs: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    outputs: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    inputs: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    outputs: Vec<String>,
    #[prost(string, tag = "4")]
    op: String,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes, tag = "9")]
    raw: Vec<u8>,
    #[prost(int32, tag = "14")]
    location: i32,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
}

fn named(name: &str) -> ValueInfo {
    ValueInfo {
        name: name.to_owned(),
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ')
        .map(|word| word.trim_matches('-').to_owned())
        .collect()
}

/// A file from lines `outputs = Op inputs`, where `-` is an omitted one; `w…` are weights.
fn file(lines: &str) -> Vec<u8> {
    let nodes = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let nodes: Vec<_> = nodes
        .map(|line| {
            let (outputs, call) = line.split_once(" = ").unwrap();
            let (op, inputs) = call.split_once(' ').unwrap();
            NodeProto {
                inputs: words(inputs),
                outputs: words(outputs),
                op: op.to_owned(),
            }
        })
        .collect();
    let weights = TensorProto {
        dims: vec![2, 3],
        name: "w".to_owned(),
        raw: vec![0; 24],
        location: 0,
    };
    let output = nodes.last().unwrap().outputs[0].clone();
    let graph = Proto {
        nodes,
        weights: vec![weights],
        // Old files list weights among their inputs.
        inputs: vec![named("pixels"), named("w")],
        outputs: vec![named(&output)],
    };
    let opset = |domain: &str, version| Opset {
        domain: domain.to_owned(),
        version,
    };
    File {
        graph: Some(graph),
        opsets: vec![opset("", 17), opset("com.microsoft", 1)],
    }
    .encode_to_vec()
}

/// Outputs of the blocks, terms of a sum joined by `+`.
fn blocks(lines: &str) -> Vec<String> {
    let file = file(lines);
    let graph = Graph::parse(&file).unwrap();
    let blocks = graph.blocks().into_iter();
    blocks.map(|block| block.sum.join("+")).collect()
}

/// Two blocks in single operators: positions by the shape of the input, GELU by tanh, and a head
/// with an MLP.
const VIT: &str = "
    patches = Conv pixels w
    shape = Shape patches
    grid = Resize w shape
    s0 = Add patches grid
    n0 = LayerNormalization s0 w
    qk0 = MatMul n0 w
    a0 = Softmax qk0
    av0 = MatMul a0 n0
    s1 = Add av0 s0
    n1 = LayerNormalization s1 w
    up0 = MatMul n1 w
    b0 = Add up0 w
    cube0 = Mul b0 b0
    g0 = Add b0 cube0
    m0 = MatMul g0 w
    s2 = Add s1 m0
    c2 = Cast s2
    n2 = LayerNormalization c2 w
    qk1 = MatMul n2 w
    a1 = Softmax qk1
    av1 = MatMul a1 n2
    s3 = Add c2 av1
    d3 = Identity s3
    n3 = LayerNormalization d3 w
    m1 = Gemm n3 w
    s4 = Add m1 d3
    n4 = LayerNormalization s4 w
    pooled = MatMul n4 w
    mh = MatMul pooled w
    head = Add pooled mh";

#[test]
fn blocks_are_found_by_structure() {
    assert_eq!(blocks(VIT), ["s2", "s4"]);
}

#[test]
fn fused_blocks_are_found() {
    let found = blocks(
        "
        s0 = Add pixels w
        n0 = LayerNormalization s0 w
        a0 = Attention n0 w
        n1 - - s1 = SkipLayerNormalization s0 a0 w w w
        m0 = MatMul n1 w
        n2 - - s2 = SkipLayerNormalization s1 m0 w w w
        a1 = MultiHeadAttention n2 n2 n2
        n3 - - s3 = SkipLayerNormalization a1 s2 w w
        m1 = MatMul n3 w
        last = SkipLayerNormalization m1 s3 w w bias",
    );
    assert_eq!(found, ["s2", "m1+s3+bias"]);

    let simplified = blocks(
        "
        a0 = Attention pixels w
        n0 - - s0 = SkipSimplifiedLayerNormalization pixels a0 w
        m0 = MatMul n0 w
        n1 = SkipSimplifiedLayerNormalization s0 m0 w bias",
    );
    assert_eq!(simplified, ["s0+m0+bias"]);
}

#[test]
fn other_networks_have_no_blocks() {
    let convolutions = "
        c0 = Conv pixels w
        r0 = Relu c0
        c1 = Conv r0 w
        s1 = Add r0 c1";
    assert_eq!(blocks(convolutions), [""; 0]);
    let cycle = "
        a = Softmax b
        b = Add a a";
    assert_eq!(blocks(cycle), [""; 0]);
}

/// The file with what exposes `sum` at its end, as another decoder reads it.
fn exposed(onnx: &[u8], sum: &[&str]) -> (String, Proto) {
    let (name, suffix) = expose(&Graph::parse(onnx).unwrap(), sum);
    let merged = [onnx, &suffix].concat();
    Graph::parse(&merged).unwrap();
    (
        name,
        File::decode(merged.as_slice()).unwrap().graph.unwrap(),
    )
}

#[test]
fn an_output_is_added_and_nothing_else() {
    let onnx = file(VIT);
    let before = File::decode(onnx.as_slice()).unwrap().graph.unwrap();
    let (name, mut after) = exposed(&onnx, &["s2"]);
    assert_eq!(name, "s2");
    assert_eq!(after.outputs.pop(), Some(named("s2")));
    assert_eq!(after, before);

    let (_, same) = exposed(&onnx, &["head"]);
    assert_eq!(same, before);

    let (name, mut after) = exposed(&onnx, &["s2", "m1"]);
    assert_eq!(after.outputs.pop(), Some(named(&name)));
    let sum = after.nodes.pop().unwrap();
    assert_eq!(
        (sum.op.as_str(), sum.inputs, sum.outputs),
        ("Sum", words("s2 m1"), vec![name])
    );
    assert_eq!(after, before);
}

#[test]
fn names_of_any_length_are_exposed() {
    for length in [1, 127, 128, 20_000] {
        let name = "x".repeat(length);
        let onnx = file(&format!("{name} = Relu pixels\ny = Relu {name}"));
        let (_, graph) = exposed(&onnx, &[&name]);
        assert_eq!(graph.outputs, [named("y"), named(&name)]);
    }
}

#[test]
fn weights_are_counted_and_are_no_inputs() {
    let summary = GraphSummary::of(&file(VIT), "vit").unwrap();
    assert_eq!(
        (summary.parameters, summary.opset, summary.nodes),
        (6, 17, 30)
    );
    let names: Vec<_> = summary.inputs.iter().map(|input| &input.name).collect();
    assert_eq!(names, ["pixels"]);
    assert_eq!(summary.blocks.len(), 2);
    assert!(!summary.weights_elsewhere);
}

#[test]
fn weights_in_other_files_are_refused() {
    let mut proto = File::decode(file(VIT).as_slice()).unwrap();
    proto.graph.as_mut().unwrap().weights[0].location = 1;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vit.onnx");
    std::fs::write(&path, proto.encode_to_vec()).unwrap();
    std::fs::write(path.with_extension("toml"), crate::model::ENTRY_SCHEMA).unwrap();
    let error = Model::from_file(&path).unwrap_err();
    assert!(error.to_string().contains("external_data=False"), "{error}");
}

#[test]
fn layers_that_are_not_there_name_those_that_are() {
    let model = || Model::embedded(crate::DEFAULT_MODEL).unwrap();
    let error = model().with_layer(&Layer::Block(4)).unwrap_err();
    assert!(error.to_string().contains("block:0 to block:3"), "{error}");
    let error = model().with_layer(&Layer::Tensor("ad_8".to_owned()));
    let error = error.unwrap_err();
    assert!(matches!(error, ExtractorError::UnknownTensor { .. }));
    assert!(error.to_string().contains("add_8"), "{error}");
}

#[test]
fn files_cut_short_are_errors_or_shorter_graphs() {
    let onnx = file(VIT);
    let whole = Graph::parse(&onnx).unwrap().nodes.len();
    for end in 0..onnx.len() {
        if let Ok(graph) = Graph::parse(&onnx[..end]) {
            // Only what follows the graph is missing.
            assert_eq!(graph.nodes.len(), whole, "{end}");
        }
    }
}

#[test]
fn more_parts_than_any_model_has_are_refused() {
    // Empty nodes, two bytes each.
    let mut graph = Vec::new();
    wire::put(&mut graph, 7, &[10, 0].repeat(1 << 22));
    let error = Graph::parse(&graph).unwrap_err();
    assert!(error.contains("more parts"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, flips in prop::collection::vec((0usize..1500, any::<u8>()), 0..4)) {
        let _ = Graph::parse(&bytes);
        let mut onnx = file(VIT);
        for (place, value) in flips {
            let length = onnx.len();
            onnx[place % length] = value;
        }
        if let Ok(graph) = Graph::parse(&onnx) {
            graph.blocks();
        }
    }
}
