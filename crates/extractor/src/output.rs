//! A graph's output, and its pooling to one vector per image.

use crate::model::{ModelEntry, Tokens};

/// One output tensor of a run over `images` images.
pub(crate) struct Output<'a> {
    pub(crate) images: usize,
    pub(crate) pooling: Pooling,
    pub(crate) shape: &'a [i64],
    pub(crate) values: &'a [f32],
}

/// What becomes of the tokens of an output (batch, tokens, D).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pooling {
    tokens: Tokens,
    /// Tokens before those of patches.
    prefix: usize,
}

impl Pooling {
    pub(crate) fn of(entry: &ModelEntry) -> Self {
        Self {
            tokens: entry.tokens,
            prefix: entry.prefix_tokens as usize,
        }
    }
}

impl Output<'_> {
    /// Length of a feature vector, where the shape is one that can be pooled.
    pub(crate) fn dimension(&self) -> Option<usize> {
        let (images, dimension) = match *self.shape {
            [images, dimension] | [images, dimension, _, _] => (images, dimension),
            [images, tokens, width] => (images, width.checked_mul(self.parts(tokens)?)?),
            _ => return None,
        };
        let usable = usize::try_from(images) == Ok(self.images) && !self.values.is_empty();
        usize::try_from(dimension).ok().filter(|_| usable)
    }

    /// Vectors of one image's features; none where there are no patch tokens to take the mean of.
    fn parts(&self, tokens: i64) -> Option<i64> {
        let Pooling {
            tokens: part,
            prefix,
        } = self.pooling;
        let patches = usize::try_from(tokens).is_ok_and(|tokens| tokens > prefix);
        match part {
            Tokens::Class => Some(1),
            Tokens::Mean => patches.then_some(1),
            Tokens::ClassAndMean => patches.then_some(2),
        }
    }

    /// Rank 2 as it is, rank 3 its class token (the first) and the mean of its patch tokens as the
    /// pooling says, rank 4 the spatial mean. Means are taken in f64.
    pub(crate) fn pool(&self, dimension: usize, features: &mut [f32]) {
        let per_image = self.values.chunks_exact(self.values.len() / self.images);
        for (row, values) in features.chunks_exact_mut(dimension).zip(per_image) {
            match *self.shape {
                [_, tokens, _] => self.pool_tokens(tokens, values, row),
                [_, _, _, _] => {
                    let places = values.len() / dimension;
                    for (feature, plane) in row.iter_mut().zip(values.chunks_exact(places)) {
                        *feature = mean(plane.iter().copied(), places);
                    }
                }
                _ => row.copy_from_slice(&values[..dimension]),
            }
        }
    }

    fn pool_tokens(&self, tokens: i64, values: &[f32], row: &mut [f32]) {
        let tokens = tokens as usize;
        let width = values.len() / tokens;
        let patches = &values[(self.pooling.prefix * width).min(values.len())..];
        let means = |row: &mut [f32]| {
            for (column, feature) in row.iter_mut().enumerate() {
                let column = patches.iter().skip(column).step_by(width).copied();
                *feature = mean(column, patches.len() / width);
            }
        };
        match self.pooling.tokens {
            Tokens::Class => row.copy_from_slice(&values[..width]),
            Tokens::Mean => means(row),
            Tokens::ClassAndMean => {
                let (class, mean) = row.split_at_mut(width);
                class.copy_from_slice(&values[..width]);
                means(mean);
            }
        }
    }
}

fn mean(values: impl Iterator<Item = f32>, count: usize) -> f32 {
    (values.map(f64::from).sum::<f64>() / count as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled(tokens: Tokens, prefix: usize, shape: &[i64], values: &[f32]) -> Option<Vec<f32>> {
        let output = Output {
            images: 2,
            pooling: Pooling { tokens, prefix },
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
        for tokens in [Tokens::Class, Tokens::Mean, Tokens::ClassAndMean] {
            assert_eq!(pooled(tokens, 1, &[2, 12], &values).unwrap(), values);
            assert_eq!(
                pooled(tokens, 1, &[2, 3, 2, 2], &values).unwrap(),
                [1.5, 5.5, 9.5, 13.5, 17.5, 21.5]
            );
        }
    }

    #[test]
    fn tokens_pool_as_asked() {
        let values: Vec<f32> = (0_u8..24).map(f32::from).collect();
        let pooled = |tokens, prefix| pooled(tokens, prefix, &[2, 4, 3], &values).unwrap();
        let class = [0.0, 1.0, 2.0, 12.0, 13.0, 14.0];
        assert_eq!(pooled(Tokens::Class, 1), class);
        assert_eq!(pooled(Tokens::Class, 2), class);
        assert_eq!(pooled(Tokens::Mean, 0), [4.5, 5.5, 6.5, 16.5, 17.5, 18.5]);
        // A class token and one register are no patches.
        assert_eq!(pooled(Tokens::Mean, 2), [7.5, 8.5, 9.5, 19.5, 20.5, 21.5]);
        assert_eq!(
            pooled(Tokens::ClassAndMean, 1),
            [
                0.0, 1.0, 2.0, 6.0, 7.0, 8.0, 12.0, 13.0, 14.0, 18.0, 19.0, 20.0
            ]
        );
    }

    #[test]
    fn other_outputs_are_refused() {
        let shapes: [&[i64]; 5] = [&[24], &[1, 24], &[2, 0], &[2, 0, 12], &[2, 3, 2, 2, 1]];
        for shape in shapes {
            let count = shape.iter().product::<i64>() as usize;
            let values = vec![0.0; count];
            assert_eq!(pooled(Tokens::Class, 1, shape, &values), None, "{shape:?}");
        }
        for tokens in [Tokens::Mean, Tokens::ClassAndMean] {
            assert_eq!(pooled(tokens, 4, &[2, 4, 3], &[0.0; 24]), None, "{tokens}");
        }
    }
}
