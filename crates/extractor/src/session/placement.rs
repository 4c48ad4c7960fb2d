//! Which execution provider runs each node of a graph, as the session's own profile says.
//!
//! ONNX Runtime puts nodes that a provider does not support on the CPU without a word. The profile
//! of one run is the evidence that a GPU does the work: shape arithmetic on the CPU is harmless, a
//! matrix product there is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::options::ExecutionProvider;

/// Parts of the names of operators that do a model's work, quantised and fused ones included; on the
/// CPU any of them would take most of the time.
const HEAVY: [&str; 8] = [
    "Attention",
    "Conv",
    "Einsum",
    "Gelu",
    "Gemm",
    "LayerNormalization",
    "MatMul",
    "Softmax",
];

const CPU: &str = "CPUExecutionProvider";

/// Where the nodes of a loaded graph run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// What was asked for, and what every heavy node runs on.
    pub execution_provider: ExecutionProvider,
    /// Number of nodes by ONNX Runtime's name of the provider that runs them.
    pub nodes: BTreeMap<String, u64>,
}

/// An event of the profile; those that are no node have no provider.
#[derive(Deserialize)]
struct Event {
    name: String,
    #[serde(default)]
    args: Args,
}

#[derive(Default, Deserialize)]
struct Args {
    #[serde(default)]
    provider: String,
    #[serde(default)]
    op_name: String,
}

impl Placement {
    /// From the profile of one run. The reason why it cannot be used, if the file says nothing or
    /// heavy nodes run on the CPU although a GPU was asked for.
    pub(super) fn read(
        profile: &Path,
        execution_provider: ExecutionProvider,
    ) -> Result<Self, String> {
        let text = fs::read_to_string(profile).map_err(|error| error.to_string())?;
        Self::parse(&text, execution_provider)
    }

    fn parse(profile: &str, execution_provider: ExecutionProvider) -> Result<Self, String> {
        let events: Vec<Event> = serde_json::from_str(profile)
            .map_err(|error| format!("the profile cannot be read: {error}"))?;
        let mut placed = BTreeSet::new();
        for Event { name, args } in events {
            if !args.provider.is_empty() && name.ends_with("_kernel_time") {
                placed.insert((name, args.provider, args.op_name));
            }
        }
        let mut nodes = BTreeMap::new();
        let mut fallen_back = BTreeMap::new();
        for (_, provider, operator) in placed {
            if provider == CPU && HEAVY.iter().any(|part| operator.contains(part)) {
                *fallen_back.entry(operator).or_insert(0_u64) += 1;
            }
            *nodes.entry(provider).or_insert(0) += 1;
        }
        if nodes.is_empty() {
            return Err("the profile shows no node".to_owned());
        }
        if execution_provider.is_gpu() && !fallen_back.is_empty() {
            let listed: Vec<_> = fallen_back
                .iter()
                .map(|(operator, count)| format!("{count} {operator}"))
                .collect();
            return Err(format!("these nodes run on the CPU: {}", listed.join(", ")));
        }
        Ok(Self {
            execution_provider,
            nodes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = r#"[
        {"cat": "Session", "name": "model_run", "args": {}},
        {"cat": "Node", "name": "a_fence_before", "args": {"op_name": "MatMul"}},
        {"cat": "Node", "name": "a_kernel_time", "args": {"op_name": "MatMul", "provider": "CUDAExecutionProvider"}},
        {"cat": "Node", "name": "a_kernel_time", "args": {"op_name": "MatMul", "provider": "CUDAExecutionProvider"}},
        {"cat": "Node", "name": "b_kernel_time", "args": {"op_name": "Conv", "provider": "CUDAExecutionProvider"}},
        {"cat": "Node", "name": "c_kernel_time", "args": {"op_name": "Gather", "provider": "CPUExecutionProvider"}}
    ]"#;

    #[test]
    fn nodes_are_counted_once_by_provider() {
        let placement = Placement::parse(PROFILE, ExecutionProvider::Cuda).unwrap();
        let counted: Vec<_> = placement.nodes.into_iter().collect();
        let expected = [(CPU, 1), ("CUDAExecutionProvider", 2)];
        assert_eq!(
            counted,
            expected.map(|(name, count)| (name.to_owned(), count))
        );
    }

    #[test]
    fn a_heavy_node_on_the_cpu_is_refused_unless_the_cpu_was_asked_for() {
        let cpu = |operator: &str| {
            let event = format!(
                r#", {{"name": "x_kernel_time", "args": {{"op_name": "{operator}", "provider": "{CPU}"}}}}]"#
            );
            PROFILE.trim_end_matches(']').to_owned() + &event
        };
        for provider in [ExecutionProvider::Cuda, ExecutionProvider::TensorRt] {
            for operator in [
                "MatMul",
                "MatMulInteger",
                "QLinearConv",
                "SkipLayerNormalization",
            ] {
                let reason = Placement::parse(&cpu(operator), provider).unwrap_err();
                assert_eq!(reason, format!("these nodes run on the CPU: 1 {operator}"));
            }
            assert!(Placement::parse(&cpu("Shape"), provider).is_ok());
        }
        assert!(Placement::parse(&cpu("MatMul"), ExecutionProvider::Cpu).is_ok());
    }

    #[test]
    fn a_profile_that_shows_nothing_proves_nothing() {
        for profile in ["[]", "", "[{\"name\": \"model_run\"}]"] {
            assert!(Placement::parse(profile, ExecutionProvider::Cuda).is_err());
        }
    }
}
