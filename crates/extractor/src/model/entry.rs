//! What a model's TOML says: names of the graph's ends, pooling, preprocessing.

use std::fmt::{self, Display};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::ExtractorError;

/// An example entry, shown where one is missing.
pub(crate) const ENTRY_SCHEMA: &str = r#"name = "my_model"
description = "What it is and where it comes from."
input = "pixel_values"   # f32 or f16, (batch, 3, crop, crop)
layout = "nchw"          # or "nhwc": (batch, crop, crop, 3)
output = "class_token"   # (batch, D), (batch, tokens, D) or (batch, D, h, w)
tokens = "cls"           # of (batch, tokens, D): "cls", "mean" or "cls+mean"
prefix_tokens = 1        # tokens before those of patches: class token and registers
[preprocessing]
resize = 256             # shorter side, pixels
crop = 224               # centre crop, pixels
interpolation = "bicubic"  # or "bilinear"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"#;

const MAX_SIDE: u32 = 2048;

/// What `FILE.toml` beside `FILE.onnx` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// Short name: letters, digits, `_`, `-`, `.`.
    pub name: String,
    /// For people; no effect on features.
    pub description: String,
    /// The graph's only input, f32 or f16.
    pub input: String,
    /// Order of its dimensions.
    #[serde(default)]
    pub layout: Layout,
    /// The output that holds the features.
    pub output: String,
    /// What becomes of its tokens, if it has any.
    #[serde(default)]
    pub tokens: Tokens,
    /// Tokens before those of patches, the class token first, then registers; 0 to 64.
    #[serde(default = "one")]
    pub prefix_tokens: u32,
    /// From RGB pixels to the input.
    pub preprocessing: Preprocessing,
}

/// torchvision's `Resize`, `CenterCrop`, `ToTensor`, `Normalize`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Shorter side after the resize, in pixels.
    pub resize: u32,
    /// Side of the centre crop, in pixels; at most `resize`.
    pub crop: u32,
    /// Resampling filter.
    pub interpolation: Interpolation,
    /// Per channel RGB, of values in [0, 1].
    #[serde(deserialize_with = "per_channel")]
    pub mean: [f32; 3],
    /// Per channel RGB, of values in [0, 1].
    #[serde(deserialize_with = "per_channel")]
    pub std: [f32; 3],
    /// Whether large JPEGs may be decoded at a half, a quarter or an eighth of their size: faster, and
    /// up to 16 of 255 steps off. Off by default.
    #[serde(default)]
    pub scaled_decoding: bool,
}

/// Order of an image's dimensions in the graph's input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// (batch, 3, crop, crop)
    #[default]
    Nchw,
    /// (batch, crop, crop, 3)
    Nhwc,
}

/// One vector from an output (batch, tokens, D).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tokens {
    /// The class token, the first.
    #[default]
    #[serde(rename = "cls")]
    Class,
    /// The mean of the patch tokens.
    #[serde(rename = "mean")]
    Mean,
    /// The class token and then the mean, 2·D values.
    #[serde(rename = "cls+mean")]
    ClassAndMean,
}

/// Resampling filter, always antialiased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Cubic convolution with a = −0.5, as Pillow's.
    Bicubic,
    /// Triangle filter.
    Bilinear,
}

impl ModelEntry {
    pub(super) fn read(path: &Path) -> Result<Self, ExtractorError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &path.display().to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(ExtractorError::EntryMissing {
                    path: path.to_owned(),
                })
            }
            Err(source) => Err(ExtractorError::ModelUnreadable {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// `file` is for messages only.
    pub(super) fn parse(text: &str, file: &str) -> Result<Self, ExtractorError> {
        let entry: Self = toml::from_str(text).map_err(|error| ExtractorError::EntryMalformed {
            file: file.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        entry.checked(file)
    }

    /// Itself when every field is within its range; `file` is for messages only.
    pub(super) fn checked(self, file: &str) -> Result<Self, ExtractorError> {
        match self.out_of_range() {
            None => Ok(self),
            Some((field, reason)) => Err(ExtractorError::EntryOutOfRange {
                file: file.to_owned(),
                field,
                reason,
            }),
        }
    }

    /// The first field outside its range, and what is wrong with it.
    fn out_of_range(&self) -> Option<(&'static str, String)> {
        let named = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(named) {
            return Some((
                "name",
                "must be 1 to 64 letters, digits, '_', '-' or '.'".to_owned(),
            ));
        }
        for (field, value) in [("input", &self.input), ("output", &self.output)] {
            if value.is_empty() || value.len() > 256 || value.contains(char::is_control) {
                return Some((field, "must be 1 to 256 printable bytes".to_owned()));
            }
        }
        let prefix = self.prefix_tokens;
        let without = self.tokens != Tokens::Mean && prefix == 0;
        if prefix > 64 || without {
            let reason = format!("must be 1 to 64, or 0 with tokens = \"mean\", not {prefix}");
            return Some(("prefix_tokens", reason));
        }
        self.preprocessing.out_of_range()
    }
}

impl Preprocessing {
    fn out_of_range(&self) -> Option<(&'static str, String)> {
        let Self {
            resize,
            crop,
            interpolation: _,
            mean,
            std,
            scaled_decoding: _,
        } = self;
        if !(1..=MAX_SIDE).contains(resize) {
            let reason = format!("must be 1 to {MAX_SIDE}, not {resize}");
            return Some(("preprocessing.resize", reason));
        }
        if !(1..=*resize).contains(crop) {
            let reason = format!("must be 1 to resize, {resize}, not {crop}");
            return Some(("preprocessing.crop", reason));
        }
        if !mean.iter().all(|value| (0.0..=1.0).contains(value)) {
            return Some((
                "preprocessing.mean",
                format!("must be within [0, 1], not {mean:?}"),
            ));
        }
        if !std.iter().all(|value| (0.001..=10.0).contains(value)) {
            return Some((
                "preprocessing.std",
                format!("must be within [0.001, 10], not {std:?}"),
            ));
        }
        None
    }
}

impl Tokens {
    const ALL: [(Self, &str); 3] = [
        (Self::Class, "cls"),
        (Self::Mean, "mean"),
        (Self::ClassAndMean, "cls+mean"),
    ];
}

impl Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(tokens, _)| tokens == self);
        f.write_str(named.map_or("", |(_, name)| name))
    }
}

impl FromStr for Tokens {
    type Err = String;

    /// The error is a sentence for a command line.
    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.iter().find(|(_, name)| *name == text);
        named
            .map(|(tokens, _)| *tokens)
            .ok_or_else(|| "must be cls, mean or cls+mean".to_owned())
    }
}

fn one() -> u32 {
    1
}

/// Read as a list first, since an array alone would ignore a fourth value.
fn per_channel<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f32; 3], D::Error> {
    let values = Vec::<f32>::deserialize(deserializer)?;
    let count = values.len();
    values
        .try_into()
        .map_err(|_| D::Error::invalid_length(count, &"3 values"))
}
