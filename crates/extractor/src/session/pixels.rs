//! The input of a run: the pixels of a batch, in the element type and the memory the graph takes.

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::memory::Allocator;
use ort::value::{DynTensor, TensorElementType};
use rayon::prelude::*;

/// Room for a batch, filled and run again and again.
pub(crate) struct Pixels {
    /// Shape (images, …), in pinned host memory if the graph runs on a GPU.
    pub(super) tensor: DynTensor,
    images: usize,
    /// Values of one image.
    length: usize,
}

/// Element type of the graph's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    F16,
}

impl Element {
    pub(super) fn of(ty: TensorElementType) -> Option<Self> {
        match ty {
            TensorElementType::Float32 => Some(Self::F32),
            TensorElementType::Float16 => Some(Self::F16),
            _ => None,
        }
    }

    fn ty(self) -> TensorElementType {
        match self {
            Self::F32 => TensorElementType::Float32,
            Self::F16 => TensorElementType::Float16,
        }
    }
}

impl Pixels {
    /// Black images; `shape` begins with their number.
    pub(super) fn new(
        allocator: &Allocator,
        element: Element,
        shape: [usize; 4],
    ) -> Result<Self, String> {
        let tensor = DynTensor::new(allocator, element.ty(), shape);
        let mut pixels = Self {
            tensor: tensor.map_err(|error| error.to_string())?,
            images: shape[0],
            length: shape[1..].iter().product(),
        };
        pixels.clear(0);
        Ok(pixels)
    }

    /// Images that fit.
    pub(crate) fn capacity(&self) -> usize {
        self.images
    }

    /// Fills one image for each item, in rayon's current pool: `fill` writes its values, or says why
    /// there are none, which leaves a black image. So are the places after the last item.
    pub(crate) fn fill<T: Sync, S: Send, E: Send>(
        &mut self,
        items: &[T],
        scratch: impl Fn() -> S + Sync + Send,
        fill: impl Fn(&T, &mut S, &mut [f32]) -> Result<(), E> + Sync + Send,
    ) -> Vec<Result<(), E>> {
        let length = self.length;
        let filled = if let Ok((_, values)) = self.tensor.try_extract_tensor_mut::<f32>() {
            let places = values.par_chunks_exact_mut(length).zip(items);
            places
                .map_init(scratch, |scratch, (place, item)| {
                    fill(item, scratch, place).inspect_err(|_| place.fill(0.0))
                })
                .collect()
        } else if let Ok((_, values)) = self.tensor.try_extract_tensor_mut::<f16>() {
            let scratch = || (scratch(), vec![0.0; length]);
            let places = values.par_chunks_exact_mut(length).zip(items);
            places
                .map_init(scratch, |(scratch, wide), (place, item)| {
                    let filled = fill(item, scratch, wide).inspect_err(|_| wide.fill(0.0));
                    place.convert_from_f32_slice(wide);
                    filled
                })
                .collect()
        } else {
            Vec::new()
        };
        self.clear(items.len());
        filled
    }

    /// Blackens the images from `first` on.
    fn clear(&mut self, first: usize) {
        let start = first * self.length;
        if let Ok((_, values)) = self.tensor.try_extract_tensor_mut::<f32>() {
            values[start..].fill(0.0);
        } else if let Ok((_, values)) = self.tensor.try_extract_tensor_mut::<f16>() {
            values[start..].fill(f16::ZERO);
        }
    }
}
