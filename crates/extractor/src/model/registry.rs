//! The models that are known by name: embedded ones, and exports on the model hub.

use super::{DEFAULT_MODEL, Interpolation, Layout, ModelEntry, Preprocessing, Tokens};

/// A model that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownModel {
    /// What [`super::Model::resolve`] takes.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// Length of its feature vectors.
    pub dimension: usize,
    /// Where it comes from.
    pub source: ModelSource,
}

/// Where a named model comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelSource {
    /// Part of this library.
    Embedded,
    /// A repository of the hub, to be pulled once.
    Hub {
        /// `owner/name`
        repository: &'static str,
    },
}

pub(super) struct Embedded {
    name: &'static str,
    description: &'static str,
    dimension: usize,
    pub(super) onnx: &'static [u8],
    pub(super) entry: &'static str,
}

/// One ONNX export on the hub.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) repository: &'static str,
    pub(crate) dimension: usize,
}

const EMBEDDED: &[Embedded] = &[Embedded {
    name: DEFAULT_MODEL,
    description: "DINO ViT of width 128 on Fashion-MNIST, for demonstrations and tests only",
    dimension: 128,
    onnx: include_bytes!("../../models/dino_fashion.onnx"),
    entry: include_str!("../../models/dino_fashion.toml"),
}];

/// transformers.js's exports of the checkpoints of facebookresearch/dino and dinov2.
pub(crate) const REGISTRY: &[Registered] = &[
    Registered {
        name: "dino_vits16",
        description: "DINO ViT-S/16, ImageNet-1K",
        repository: "Xenova/dino-vits16",
        dimension: 384,
    },
    Registered {
        name: "dino_vitb16",
        description: "DINO ViT-B/16, ImageNet-1K",
        repository: "Xenova/dino-vitb16",
        dimension: 768,
    },
    Registered {
        name: "dino_vits8",
        description: "DINO ViT-S/8, ImageNet-1K",
        repository: "Xenova/dino-vits8",
        dimension: 384,
    },
    Registered {
        name: "dino_vitb8",
        description: "DINO ViT-B/8, ImageNet-1K",
        repository: "Xenova/dino-vitb8",
        dimension: 768,
    },
    Registered {
        name: "dinov2_vits14",
        description: "DINOv2 ViT-S/14 without registers, LVD-142M",
        repository: "Xenova/dinov2-small",
        dimension: 384,
    },
    Registered {
        name: "dinov2_vitb14",
        description: "DINOv2 ViT-B/14 without registers, LVD-142M",
        repository: "Xenova/dinov2-base",
        dimension: 768,
    },
];

/// All models that have a name, the embedded ones first.
pub fn known_models() -> impl Iterator<Item = KnownModel> {
    let embedded = EMBEDDED.iter().map(|embedded| KnownModel {
        name: embedded.name,
        description: embedded.description,
        dimension: embedded.dimension,
        source: ModelSource::Embedded,
    });
    let registered = REGISTRY.iter().map(|registered| KnownModel {
        name: registered.name,
        description: registered.description,
        dimension: registered.dimension,
        source: ModelSource::Hub {
            repository: registered.repository,
        },
    });
    embedded.chain(registered)
}

pub(super) fn embedded(name: &str) -> Option<&'static Embedded> {
    EMBEDDED.iter().find(|embedded| embedded.name == name)
}

pub(super) fn registered(name: &str) -> Option<&'static Registered> {
    REGISTRY.iter().find(|registered| registered.name == name)
}

impl Registered {
    /// The export in full precision, its weights inside.
    pub(crate) const FILE: &str = "onnx/model.onnx";
    /// The branch whose commit is pinned by the first pull.
    pub(crate) const REVISION: &str = "main";

    /// The same for all of them: the transformers library's names, DINO's evaluation transform.
    pub(crate) fn entry(&self) -> ModelEntry {
        ModelEntry {
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            input: "pixel_values".to_owned(),
            layout: Layout::Nchw,
            output: "last_hidden_state".to_owned(),
            tokens: Tokens::Class,
            prefix_tokens: 1,
            preprocessing: Preprocessing {
                resize: 256,
                crop: 224,
                interpolation: Interpolation::Bicubic,
                mean: [0.485, 0.456, 0.406],
                std: [0.229, 0.224, 0.225],
                scaled_decoding: false,
            },
        }
    }
}
