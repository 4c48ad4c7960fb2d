//! A graph's output, and its pooling to one vector per image.

/// One output tensor of a run over `images` images.
pub(crate) struct Output<'a> {
    pub(crate) images: usize,
    pub(crate) shape: &'a [i64],
    pub(crate) values: &'a [f32],
}

impl Output<'_> {
    /// Length of a feature vector, where the shape is one that can be pooled.
    pub(crate) fn dimension(&self) -> Option<usize> {
        let (images, dimension) = match *self.shape {
            [images, dimension] | [images, _, dimension] | [images, dimension, _, _] => {
                (images, dimension)
            }
            _ => return None,
        };
        let usable = usize::try_from(images) == Ok(self.images) && !self.values.is_empty();
        usize::try_from(dimension).ok().filter(|_| usable)
    }

    /// Rank 2 as it is, rank 3 its class token (the first), rank 4 the spatial mean.
    pub(crate) fn pool(&self, dimension: usize, features: &mut [f32]) {
        let per_image = self.values.chunks_exact(self.values.len() / self.images);
        for (row, values) in features.chunks_exact_mut(dimension).zip(per_image) {
            if self.shape.len() == 4 {
                let places = values.len() / dimension;
                for (feature, plane) in row.iter_mut().zip(values.chunks_exact(places)) {
                    *feature =
                        (plane.iter().copied().map(f64::from).sum::<f64>() / places as f64) as f32;
                }
            } else {
                row.copy_from_slice(&values[..dimension]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled(shape: &[i64], values: &[f32]) -> Option<Vec<f32>> {
        let output = Output {
            images: 2,
            shape,
            values,
        };
        let dimension = output.dimension()?;
        let mut features = vec![f32::NAN; 2 * dimension];
        output.pool(dimension, &mut features);
        Some(features)
    }

    #[test]
    fn outputs_pool_by_rank() {
        let values: Vec<f32> = (0_u8..24).map(f32::from).collect();
        assert_eq!(pooled(&[2, 12], &values).unwrap(), values);
        assert_eq!(
            pooled(&[2, 4, 3], &values).unwrap(),
            [0.0, 1.0, 2.0, 12.0, 13.0, 14.0]
        );
        assert_eq!(
            pooled(&[2, 3, 2, 2], &values).unwrap(),
            [1.5, 5.5, 9.5, 13.5, 17.5, 21.5]
        );
    }

    #[test]
    fn other_outputs_are_refused() {
        let shapes: [&[i64]; 5] = [&[24], &[1, 24], &[2, 0], &[2, 0, 12], &[2, 3, 2, 2, 1]];
        for shape in shapes {
            let count = shape.iter().product::<i64>() as usize;
            assert_eq!(pooled(shape, &vec![0.0; count]), None, "{shape:?}");
        }
    }
}
