//! What a graph takes, checked against its entry.

use ort::value::{Outlet, ValueType};

use super::pixels::Element;
use crate::model::{Layout, ModelEntry};
use crate::options::MAX_BATCH;
use crate::preprocess::CHANNELS;

/// The graph's input.
pub(super) struct Input {
    pub(super) element: Element,
    /// Number of images of every run, where the graph fixes it.
    pub(super) batch: Option<usize>,
    /// Of one image.
    pub(super) shape: [usize; 3],
}

impl Input {
    /// The reason, if the graph has not the one input of the entry.
    pub(super) fn of(inputs: &[Outlet], entry: &ModelEntry) -> Result<Self, String> {
        let name = &entry.input;
        let [input] = inputs else {
            let names: Vec<_> = inputs.iter().map(Outlet::name).collect();
            return Err(format!("it must have one input, not {names:?}"));
        };
        if input.name() != name {
            return Err(format!("its input is {}, not {name}", input.name()));
        }
        let element =
            |ty| Element::of(ty).ok_or_else(|| format!("input {name} must be f32 or f16"));
        let ValueType::Tensor { ty, shape, .. } = input.dtype() else {
            return Err(format!("input {name} must be a tensor"));
        };
        let element = element(*ty)?;
        let side = entry.preprocessing.crop as usize;
        let wanted = match entry.layout {
            Layout::Nchw => [CHANNELS, side, side],
            Layout::Nhwc => [side, side, CHANNELS],
        };
        let fits =
            |found: &i64, wanted: usize| *found == -1 || usize::try_from(*found) == Ok(wanted);
        let batch = match &shape[..] {
            [batch, image @ ..]
                if image.len() == 3
                    && image
                        .iter()
                        .zip(wanted)
                        .all(|(found, wanted)| fits(found, wanted)) =>
            {
                batch
            }
            found => {
                let [a, b, c] = wanted;
                return Err(format!(
                    "input {name} must be (batch, {a}, {b}, {c}), not {found:?}"
                ));
            }
        };
        let batch = match usize::try_from(*batch) {
            Err(_) => None,
            Ok(images @ 1..=MAX_BATCH) => Some(images),
            Ok(images) => {
                return Err(format!(
                    "its batch dimension must be 1 to {MAX_BATCH}, not {images}"
                ));
            }
        };
        Ok(Self {
            element,
            batch,
            shape: wanted,
        })
    }
}
