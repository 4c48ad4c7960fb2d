//! Samples that are features already: their bytes are only parsed.

use super::FeatureExtractor;
use crate::model::LoadedModel;
use curriculum_extractor::{Read, ReadError, Sink};
use curriculum_store::{Digest, SampleKind};

/// Numbers of an assignment: cluster, Euclidean distance, cosine distance.
const ASSIGNMENT: usize = 3;

/// f32 holds every smaller cluster number exactly.
const CLUSTER_LIMIT: u32 = 1 << 24;

/// The model of sources whose samples are vectors of `dimension` f32, little endian.
pub(crate) fn parsed_features(dimension: u32) -> LoadedModel {
    let bytes = dimension.to_le_bytes();
    LoadedModel {
        name: "features".to_owned(),
        digest: Digest::of_parts([b"curriculum features 1".as_slice(), &bytes]),
        dimension: dimension as usize,
    }
}

/// The model of sources whose samples are finished assignments: u32, f32, f32, little endian. Its
/// features are the three as f32.
pub(crate) fn parsed_assignments() -> LoadedModel {
    LoadedModel {
        name: "assignments".to_owned(),
        digest: Digest::of_parts([b"curriculum assignments 1".as_slice()]),
        dimension: ASSIGNMENT,
    }
}

/// Reads features that need no model.
pub(crate) struct Parser {
    model: LoadedModel,
    parse: fn(&[u8], &mut Vec<f32>) -> Result<(), String>,
}

impl Parser {
    /// `None` for samples that need a model.
    pub(crate) fn new(kind: SampleKind, dimension: usize) -> Option<Self> {
        match kind {
            SampleKind::Images => None,
            SampleKind::Features => Some(Self {
                model: parsed_features(u32::try_from(dimension).unwrap_or(u32::MAX)),
                parse: features,
            }),
            SampleKind::Assignments => Some(Self {
                model: parsed_assignments(),
                parse: assignment,
            }),
        }
    }

    fn row<'a>(&self, bytes: &[u8], row: &'a mut Vec<f32>) -> Result<&'a [f32], String> {
        let expected = self.model.dimension * size_of::<f32>();
        if bytes.len() != expected {
            return Err(format!("has {} bytes instead of {expected}", bytes.len()));
        }
        row.clear();
        (self.parse)(bytes, row)?;
        Ok(row)
    }
}

impl FeatureExtractor for Parser {
    fn model(&self) -> &str {
        &self.model.name
    }

    fn digest(&self) -> Digest {
        self.model.digest
    }

    fn dimension(&self) -> usize {
        self.model.dimension
    }

    fn extract(
        &mut self,
        samples: &mut (dyn Iterator<Item = usize> + Send),
        read: &Read<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), String> {
        let mut row = Vec::with_capacity(self.model.dimension);
        for index in samples {
            let parsed = match read(index) {
                Ok(bytes) => self.row(&bytes, &mut row),
                Err(ReadError::Sample(reason)) => Err(reason),
                Err(ReadError::Fatal(reason)) => return Err(reason),
            };
            if sink(index, parsed).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn features(bytes: &[u8], row: &mut Vec<f32>) -> Result<(), String> {
    row.extend(bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes));
    match row.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(column) => Err(format!("its features are not finite, at column {column}")),
    }
}

fn assignment(bytes: &[u8], row: &mut Vec<f32>) -> Result<(), String> {
    let [cluster, distance, cosine] = bytes.as_chunks().0 else {
        return Err(format!("has {} bytes instead of 12", bytes.len()));
    };
    let cluster = u32::from_le_bytes(*cluster);
    if cluster >= CLUSTER_LIMIT {
        return Err(format!(
            "its cluster is {cluster}, but must be below {CLUSTER_LIMIT}"
        ));
    }
    let distances = [distance, cosine].map(|bytes| f32::from_le_bytes(*bytes));
    if !distances
        .iter()
        .all(|value| value.is_finite() && *value >= 0.0)
    {
        return Err("its distances must be finite and not negative".to_owned());
    }
    row.push(cluster as f32);
    row.extend(distances);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: SampleKind, dimension: usize, bytes: &[u8]) -> Result<Vec<f32>, String> {
        let mut row = Vec::new();
        let parser = Parser::new(kind, dimension).unwrap();
        parser.row(bytes, &mut row).map(<[f32]>::to_vec)
    }

    #[test]
    fn features_are_little_endian_and_finite() {
        let bytes = |values: [f32; 2]| values.map(f32::to_le_bytes).concat();
        let parse = |bytes: &[u8]| parse(SampleKind::Features, 2, bytes);
        assert_eq!(parse(&bytes([1.5, -2.0])).unwrap(), [1.5, -2.0]);
        assert!(
            parse(&bytes([1.0, f32::NAN]))
                .unwrap_err()
                .contains("column 1")
        );
        assert!(parse(&[0; 9]).unwrap_err().contains("9 bytes instead of 8"));
    }

    #[test]
    fn assignments_keep_cluster_and_distances() {
        let bytes = |cluster: u32, distance: f32| {
            [
                cluster.to_le_bytes(),
                distance.to_le_bytes(),
                0.25f32.to_le_bytes(),
            ]
            .concat()
        };
        let parse = |bytes: &[u8]| parse(SampleKind::Assignments, 3, bytes);
        let largest = CLUSTER_LIMIT - 1;
        assert_eq!(
            parse(&bytes(largest, 0.5)).unwrap(),
            [largest as f32, 0.5, 0.25]
        );
        for bad in [
            bytes(CLUSTER_LIMIT, 0.5),
            bytes(0, f32::INFINITY),
            bytes(0, -1.0),
            vec![],
        ] {
            assert!(parse(&bad).is_err());
        }
    }

    #[test]
    fn models_differ_by_kind_and_dimension() {
        let digests = [parsed_features(3), parsed_features(4), parsed_assignments()];
        let [a, b, c] = digests.map(|model| model.digest);
        assert!(a != b && a != c && b != c);
        assert!(Parser::new(SampleKind::Images, 3).is_none());
    }
}
