//! How a model is run.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::ExtractorError;

/// Images of one run.
pub(crate) const MAX_BATCH: usize = 4096;
const MAX_THREADS: usize = 1024;
const MAX_DEVICES: usize = 64;

/// Where the graph runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionProvider {
    /// ONNX Runtime's own kernels.
    #[default]
    Cpu,
    /// CUDA devices; needs a library built for them (`onnxruntime-gpu`).
    Cuda,
    /// TensorRT on CUDA devices, with CUDA for what it does not take.
    TensorRt,
}

/// How a model is run; no effect on features on the CPU, and none beyond rounding between execution
/// providers, GPUs and, on a GPU, batch sizes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the graph runs.
    pub execution_provider: ExecutionProvider,
    /// GPUs to use, each with a session of its own; 1 to 64, ignored on the CPU.
    pub device_ids: Vec<u32>,
    /// Most bytes ONNX Runtime's arena may take on each GPU, and TensorRT's workspace; default all
    /// there are.
    pub gpu_memory_limit: Option<u64>,
    /// Folder in which TensorRT keeps built engines; building one takes minutes.
    pub engine_cache: Option<PathBuf>,
    /// Threads of one run, 1 to 1024; default the cores this process may use.
    pub intra_threads: Option<usize>,
    /// Most images of one run, 1 to 4096; memory grows with it. A model whose batch dimension is
    /// fixed overrides it. By default a short probe chooses it.
    pub batch_size: Option<usize>,
}

impl ExecutionProvider {
    /// In the order of the enum.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Cuda, Self::TensorRt];

    /// Whether it needs a CUDA device.
    #[must_use]
    pub fn is_gpu(self) -> bool {
        self != Self::Cpu
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            execution_provider: ExecutionProvider::default(),
            device_ids: vec![0],
            gpu_memory_limit: None,
            engine_cache: None,
            intra_threads: None,
            batch_size: None,
        }
    }
}

impl FromStr for ExecutionProvider {
    type Err = ExtractorError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| {
            let reason = format!("must be cpu, cuda or tensorrt, not {name}");
            out_of_range("execution_provider", reason)
        })
    }
}

impl fmt::Display for ExecutionProvider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl Options {
    /// # Errors
    /// When a number is out of its range.
    pub fn check(&self) -> Result<(), ExtractorError> {
        let check = |option, value: Option<usize>, most: usize| match value {
            Some(value) if !(1..=most).contains(&value) => {
                let reason = format!("must be 1 to {most}, not {value}");
                Err(out_of_range(option, reason))
            }
            _ => Ok(()),
        };
        check("batch_size", self.batch_size, MAX_BATCH)?;
        check("intra_threads", self.intra_threads, MAX_THREADS)?;
        check("device_ids", Some(self.device_ids.len()), MAX_DEVICES)?;
        let distinct: BTreeSet<_> = self.device_ids.iter().collect();
        if distinct.len() < self.device_ids.len() {
            let reason = format!("names a device twice: {:?}", self.device_ids);
            return Err(out_of_range("device_ids", reason));
        }
        Ok(())
    }

    /// The devices that get a session each; one on the CPU.
    pub(crate) fn devices(&self) -> &[u32] {
        match self.execution_provider.is_gpu() {
            true => &self.device_ids,
            false => &[0],
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
        for provider in ExecutionProvider::ALL {
            assert_eq!(
                provider.to_string().parse::<ExecutionProvider>().unwrap(),
                provider
            );
        }
        let error = "gpu".parse::<ExecutionProvider>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "option execution_provider must be cpu, cuda or tensorrt, not gpu"
        );
    }

    #[test]
    fn devices_are_some_and_distinct() {
        for device_ids in [vec![], vec![0, 1, 0]] {
            let options = Options {
                device_ids,
                ..Options::default()
            };
            let error = options.check().unwrap_err().to_string();
            assert!(error.starts_with("option device_ids "), "{error}");
        }
    }
}
