//! The input of a run: the pixels of a batch, in the element type and the memory the graph takes.

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::memory::Allocator;
use ort::session::IoBinding;
use ort::value::{Tensor, TensorElementType};
use rayon::prelude::*;

/// Room for a batch, filled and run again and again.
pub(crate) struct Pixels {
    values: Values,
    images: usize,
    /// Values of one image.
    length: usize,
}

/// Shape (images, …), in pinned host memory if the graph runs on a GPU.
enum Values {
    F32(Tensor<f32>),
    F16(Tensor<f16>),
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
}

impl Pixels {
    /// Black images; `shape` begins with their number.
    pub(super) fn new(
        allocator: &Allocator,
        element: Element,
        shape: [usize; 4],
    ) -> ort::Result<Self> {
        let mut pixels = Self {
            values: match element {
                Element::F32 => Values::F32(Tensor::new(allocator, shape)?),
                Element::F16 => Values::F16(Tensor::new(allocator, shape)?),
            },
            images: shape[0],
            length: shape[1..].iter().product(),
        };
        pixels.clear(0);
        Ok(pixels)
    }

    pub(super) fn bind(&self, binding: &mut IoBinding, input: &str) -> ort::Result<()> {
        match &self.values {
            Values::F32(tensor) => binding.bind_input(input, tensor),
            Values::F16(tensor) => binding.bind_input(input, tensor),
        }
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
        let filled = match &mut self.values {
            Values::F32(tensor) => {
                let places = tensor.extract_tensor_mut().1.par_chunks_exact_mut(length);
                places
                    .zip(items)
                    .map_init(scratch, |scratch, (place, item)| {
                        fill(item, scratch, place).inspect_err(|_| place.fill(0.0))
                    })
                    .collect()
            }
            Values::F16(tensor) => {
                let scratch = || (scratch(), vec![0.0; length]);
                let places = tensor.extract_tensor_mut().1.par_chunks_exact_mut(length);
                places
                    .zip(items)
                    .map_init(scratch, |(scratch, wide), (place, item)| {
                        let filled = fill(item, scratch, wide).inspect_err(|_| wide.fill(0.0));
                        place.convert_from_f32_slice(wide);
                        filled
                    })
                    .collect()
            }
        };
        self.clear(items.len());
        filled
    }

    /// Images of another batch of the same element type from `first` on, as many as there are.
    pub(super) fn copy_from(&mut self, other: &Self, first: usize) {
        let images = self.images.min(other.images.saturating_sub(first));
        let (start, values) = (first * self.length, images * self.length);
        match (&mut self.values, &other.values) {
            (Values::F32(to), Values::F32(from)) => {
                let from = &from.extract_tensor().1[start..start + values];
                to.extract_tensor_mut().1[..values].copy_from_slice(from);
            }
            (Values::F16(to), Values::F16(from)) => {
                let from = &from.extract_tensor().1[start..start + values];
                to.extract_tensor_mut().1[..values].copy_from_slice(from);
            }
            (Values::F32(_), Values::F16(_)) | (Values::F16(_), Values::F32(_)) => {
                unreachable!("a session has one element type")
            }
        }
        self.clear(images);
    }

    /// Blackens the images from `first` on.
    fn clear(&mut self, first: usize) {
        let start = first * self.length;
        match &mut self.values {
            Values::F32(tensor) => tensor.extract_tensor_mut().1[start..].fill(0.0),
            Values::F16(tensor) => tensor.extract_tensor_mut().1[start..].fill(f16::ZERO),
        }
    }
}
