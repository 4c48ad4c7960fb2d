//! Images to features: decode, preprocess, ONNX Runtime.
//!
//! An [`Extractor`] turns encoded images, or tensors in `.npy` files, into one row of features each, the model's own vectors,
//! not yet normalised. The features of an image depend on its bytes and the model only: never on
//! the other images of the call, nor on the number of threads.
//!
//! - `model`: what a model is (graph, preprocessing), where it comes from, and its layers
//! - `onnx`: what an ONNX file holds, read in place
//! - [`hub`]: fetching models by name, once
//! - `decode`: encoded bytes to RGB pixels, within limits
//! - `preprocess`: encoded images to the model's input, as torchvision does it
//! - `tensor`: samples that are the model's input already
//! - `vectorize`: plain loops for the machine's widest vectors
//! - [`metrics`]: names of what is counted
//! - `library`: finding and loading ONNX Runtime's shared library
//! - `options`: where and how a graph runs
//! - `session`: the loaded graph
//! - `output`: pooling of its output to one vector per image
//! - `stream`: samples through reading, decoding and the model, each beside the others
//! - `extractor`: all of the above, ready to use
//! - `error`: what goes wrong, for a whole call or for one image
//!
//! Nothing outside this crate names ONNX Runtime; nothing here knows manifests, storage or the wire.

mod decode;
mod error;
mod extractor;
pub mod hub;
mod library;
pub mod metrics;
mod model;
mod onnx;
mod options;
mod output;
mod preprocess;
mod session;
mod stream;
mod tensor;
mod vectorize;

pub use error::{ExtractorError, ImageError};
pub use extractor::{Extractor, ImageFailure};
pub use model::{
    DEFAULT_MODEL, Interpolation, KnownModel, Layer, Layout, Model, ModelEntry, ModelSource,
    Preprocessing, Tokens, known_models,
};
pub use onnx::{GraphSummary, TensorSummary};
pub use options::{ExecutionProvider, Options};
pub use preprocess::{Preprocessor, Scratch};
pub use session::Placement;
pub use stream::{Read, ReadError, Sink, Timing};
