//! The model of a running server: opened on the way, or later in the background.

use crate::{
    config::Model as Settings,
    lifecycle::{Lifecycle, ModelPhase},
    metrics,
};
use curriculum_extractor::{ExecutionProvider, ExtractorError, Options};
use curriculum_pipeline::{FeatureExtractor, Pipeline, extraction::OnnxExtractor, in_background};
use std::{
    any::Any,
    collections::BTreeMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock, Weak},
    thread,
    time::Duration,
};

/// Until a model that could not be opened is tried again: a driver or a file may come later than the
/// server.
const AGAIN: Duration = Duration::from_secs(30);

/// What extracts features in this server, as it was seen to run when the model was loaded.
pub(crate) struct LiveExtractor {
    pub(crate) model: String,
    pub(crate) execution_provider: ExecutionProvider,
    /// GPUs, none on the CPU.
    pub(crate) device_ids: Vec<u32>,
    /// Number of nodes by ONNX Runtime's name of the provider that runs them.
    pub(crate) nodes: BTreeMap<String, u64>,
}

/// Empty until the model is loaded.
pub(crate) type Live = Arc<OnceLock<LiveExtractor>>;

impl LiveExtractor {
    fn of(extractor: &OnnxExtractor, options: &Options) -> Self {
        let placement = extractor.extractor().placement();
        let execution_provider = options.execution_provider;
        Self {
            model: extractor.model().to_owned(),
            execution_provider,
            device_ids: match execution_provider.is_gpu() {
                true => options.device_ids.clone(),
                false => Vec::new(),
            },
            nodes: placement.map_or_else(BTreeMap::new, |placement| placement.nodes.clone()),
        }
    }
}

/// Opens the model. It takes on the priority of a job: threads of the session inherit it.
pub(crate) fn open(settings: &Settings) -> Result<(OnnxExtractor, LiveExtractor), ExtractorError> {
    let (model, options) = settings.load()?;
    let extractor = in_background(|| OnnxExtractor::open(&model, &options))?;
    let live = LiveExtractor::of(&extractor, &options);
    Ok((extractor, live))
}

/// Hands an open model to all who use it.
pub(crate) fn provide(
    (extractor, description): (OnnxExtractor, LiveExtractor),
    live: &Live,
    pipeline: &Pipeline,
    lifecycle: &Lifecycle,
) {
    metrics::describe(live.get_or_init(|| description));
    pipeline.provide(Box::new(extractor));
    lifecycle.set_model(ModelPhase::Ready);
}

/// Opens the model on a thread of its own, again and again until it works or the pipeline is gone.
///
/// # Errors
/// When there is no thread.
pub(crate) fn open_later(
    settings: Settings,
    live: Live,
    pipeline: &Arc<Pipeline>,
    lifecycle: Lifecycle,
) -> io::Result<()> {
    let pipeline: Weak<Pipeline> = Arc::downgrade(pipeline);
    let attempts = move || {
        let mut failed_before = false;
        loop {
            let opened = attempt(|| open(&settings));
            let Some(pipeline) = pipeline.upgrade() else {
                return;
            };
            match opened {
                Ok(opened) => return provide(opened, &live, &pipeline, &lifecycle),
                Err(reason) => {
                    if !failed_before {
                        tracing::error!(
                            reason,
                            "the model cannot be opened, only what needs none is served"
                        );
                    }
                    failed_before = true;
                    pipeline.lack_model(reason);
                    lifecycle.set_model(ModelPhase::Missing);
                }
            }
            drop(pipeline);
            thread::sleep(AGAIN);
        }
    };
    let thread = thread::Builder::new().name("model".to_owned());
    thread.spawn(attempts).map(drop)
}

/// What `open` opens, or why not. A panic, ONNX Runtime's binding has some, is one more reason: the thread would
/// end by it, and whoever waits for the model would wait for ever.
fn attempt<T>(open: impl FnOnce() -> Result<T, ExtractorError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("opening it failed: {}", message(&*panic))),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a bug, see the server's log")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;

    type Panics = fn(i32) -> i32;

    #[test]
    fn a_panic_is_one_more_reason() {
        assert_eq!(attempt(|| Ok(7)), Ok(7));
        let name = "x".to_owned();
        let error = ExtractorError::NotPulled { name };
        let reason = error.to_string();
        assert_eq!(attempt::<()>(|| Err(error)), Err(reason));
        let number = 7;
        let panics: [(Panics, &str); 3] = [
            (|_| panic!("no library"), "no library"),
            (|number| panic!("no library {number}"), "no library 7"),
            (|number| panic_any(number), "a bug"),
        ];
        // As it comes from the thread of low priority.
        for (panics, said) in panics {
            let reason = attempt(|| in_background(|| Ok(panics(number)))).unwrap_err();
            assert!(reason.contains(said), "{reason}");
        }
    }
}
