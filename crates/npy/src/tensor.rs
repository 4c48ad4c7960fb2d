//! One array of a known shape.

use crate::error::NpyProblem;
use crate::features::{FloatType, fill_halves, fill_singles};
use crate::header::{Header, python_tuple};

const ADVICE: &str =
    "tensors are <f4 or <f2: save them with np.save(path, array.astype(np.float16))";

/// Numbers of an array in memory, little-endian f32 or f16 in C order. They are not looked at: NaN and infinity
/// come out as they are.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    data: &'a [u8],
    dtype: FloatType,
}

impl<'a> Tensor<'a> {
    /// The array of this shape in a file that has these `bytes`. Allocates nothing that depends on them, except to
    /// say what is wrong.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being such an array; see [`NpyProblem`].
    pub fn parse(bytes: &'a [u8], shape: &[u64]) -> Result<Self, NpyProblem> {
        let header = Header::parse(bytes)?;
        let dtype = FloatType::parse(&header.fields.descr, ADVICE)?;
        if header.fields.shape != shape {
            return Err(NpyProblem::WrongShape {
                shape: header.shape(),
                expected: python_tuple(shape),
            });
        }
        if header.fields.fortran_order {
            return Err(NpyProblem::FortranOrder);
        }
        let place = header.data(dtype.bytes() as u64, bytes.len() as u64)?;
        Ok(Self {
            // The data are the rest of the file.
            data: bytes.get(place.start as usize..).unwrap_or_default(),
            dtype,
        })
    }

    /// Writes the numbers from number `first` on, in their order; f16 to f32 is exact.
    ///
    /// # Panics
    ///
    /// If there are fewer than `out` has room for, as a slice does.
    pub fn copy_to(&self, first: usize, out: &mut [f32]) {
        let item = self.dtype.bytes();
        let data = &self.data[first * item..][..out.len() * item];
        match self.dtype {
            FloatType::F32 => fill_singles(data, out),
            FloatType::F16 => fill_halves(data, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use half::f16;
    use proptest::prelude::*;

    use super::*;
    use crate::header;

    const VALUES: [f32; 6] = [1.0, -2.5, 65504.0, 0.0, f32::INFINITY, 0.25];

    fn singles() -> Vec<u8> {
        VALUES.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    fn halves() -> Vec<u8> {
        let halves = VALUES.iter().map(|x| f16::from_f32(*x));
        halves.flat_map(f16::to_le_bytes).collect()
    }

    fn problem(bytes: &[u8]) -> String {
        Tensor::parse(bytes, &[3, 1, 2]).unwrap_err().to_string()
    }

    #[test]
    fn numbers_come_in_their_order_from_any_place() {
        for (descr, data) in [("<f4", singles()), ("<f2", halves())] {
            let file = [header(descr, &[3, 1, 2]), data].concat();
            // At any alignment.
            for shift in 0..4 {
                let bytes = [vec![0; shift], file.clone()].concat();
                let tensor = Tensor::parse(&bytes[shift..], &[3, 1, 2]).unwrap();
                for first in 0..=6 {
                    let mut out = vec![f32::NAN; 6 - first];
                    tensor.copy_to(first, &mut out);
                    assert_eq!(out, VALUES[first..], "{descr}");
                }
            }
        }
    }

    #[test]
    fn refuses_what_is_not_asked_for() {
        let long = [header("<f4", &[3, 1, 2]), singles(), vec![0]].concat();
        let fortran = String::from_utf8_lossy(&header("<f4", &[3, 1, 2])[10..])
            .replace("False", "True ")
            .into_bytes();
        let fortran = [&header("<f4", &[3, 1, 2])[..10], &fortran, &singles()].concat();
        for (bytes, text) in [
            (
                [header("<f4", &[3, 2, 1]), singles()].concat(),
                "the shape is (3, 2, 1), expected (3, 1, 2)",
            ),
            (
                [header("<f4", &[6]), singles()].concat(),
                "the shape is (6,), expected (3, 1, 2)",
            ),
            (
                [header("<f8", &[3, 1, 2]), vec![0; 48]].concat(),
                "dtype `<f8` is not read; tensors are",
            ),
            (
                [header(">f4", &[3, 1, 2]), singles()].concat(),
                "dtype `>f4` is big-endian; tensors are",
            ),
            (fortran, "in Fortran order"),
            (long, "bytes after the data"),
        ] {
            let problem = problem(&bytes);
            assert!(problem.contains(text), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn any_cut_or_damage_is_an_error_or_a_whole_tensor(cut in 0_usize..153, at in 0_usize..152, byte: u8) {
            let mut bytes = [header("<f4", &[3, 1, 2]), singles()].concat();
            bytes[at] = byte;
            bytes.truncate(cut);
            match Tensor::parse(&bytes, &[3, 1, 2]) {
                // A damaged length or type may make a whole file of fewer bytes.
                Ok(tensor) => {
                    prop_assert_eq!(tensor.data.len(), 6 * tensor.dtype.bytes());
                    tensor.copy_to(0, &mut [0.0; 6]);
                }
                Err(problem) => prop_assert!(!problem.to_string().is_empty()),
            }
        }
    }
}
