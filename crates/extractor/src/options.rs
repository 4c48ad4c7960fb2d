//! How a model is run.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::ExtractorError;

/// Images of one run.
pub(crate) const MAX_BATCH: usize = 4096;
const MAX_THREADS: usize = 1024;

/// Where the graph runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionProvider {
    /// ONNX Runtime's own kernels.
    #[default]
    Cpu,
    /// The first CUDA device; needs a library built for it (`onnxruntime-gpu`).
    Cuda,
}

/// How a model is run; no effect on features beyond rounding between execution providers.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the graph runs.
    pub execution_provider: ExecutionProvider,
    /// Threads of one run, 1 to 1024; default the cores this process may use.
    pub intra_threads: Option<usize>,
    /// Most images of one run, 1 to 4096; memory grows with it. A model whose batch dimension is
    /// fixed overrides it.
    pub batch_size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            execution_provider: ExecutionProvider::default(),
            intra_threads: None,
            batch_size: 64,
        }
    }
}

impl FromStr for ExecutionProvider {
    type Err = ExtractorError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            _ => Err(out_of_range(
                "execution_provider",
                format!("must be cpu or cuda, not {name}"),
            )),
        }
    }
}

impl fmt::Display for ExecutionProvider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), ExtractorError> {
        if !(1..=MAX_BATCH).contains(&self.batch_size) {
            let reason = format!("must be 1 to {MAX_BATCH}, not {}", self.batch_size);
            return Err(out_of_range("batch_size", reason));
        }
        match self.intra_threads {
            Some(threads) if !(1..=MAX_THREADS).contains(&threads) => Err(out_of_range(
                "intra_threads",
                format!("must be 1 to {MAX_THREADS}, not {threads}"),
            )),
            _ => Ok(()),
        }
    }

    /// ONNX Runtime's own default counts the machine's cores, not a container's, and pins to them.
    pub(crate) fn threads(&self) -> usize {
        let available = || thread::available_parallelism().map_or(1, NonZero::get);
        self.intra_threads.unwrap_or_else(available)
    }
}

fn out_of_range(option: &'static str, reason: String) -> ExtractorError {
    ExtractorError::OptionOutOfRange { option, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn execution_providers_read_as_they_print() {
        for provider in [ExecutionProvider::Cpu, ExecutionProvider::Cuda] {
            assert_eq!(
                provider.to_string().parse::<ExecutionProvider>().unwrap(),
                provider
            );
        }
        let error = "gpu".parse::<ExecutionProvider>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "option execution_provider must be cpu or cuda, not gpu"
        );
    }
}
