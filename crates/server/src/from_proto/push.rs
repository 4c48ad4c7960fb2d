//! The messages of a push.

use super::Result;
use crate::{checksum, error::ServiceError};
use curriculum_proto::v1::{
    self, push_features_request::Part as FeaturesPart, push_images_request::Part as ImagesPart,
};
use curriculum_store::push::{PushKind, PushedSample};

/// A message of either kind of push, checked.
pub(crate) enum Part {
    Header {
        push: String,
        kind: PushKind,
        fingerprint: String,
    },
    Samples(Batch),
    End {
        samples: u64,
    },
}

/// Consecutive samples, whose checksum matches.
pub(crate) struct Batch {
    pub(crate) offset: u64,
    ids: Vec<String>,
    labels: Vec<String>,
    data: Data,
}

enum Data {
    /// Rows of as many bytes, one after the other.
    Rows {
        values: Vec<u8>,
        row: usize,
    },
    Images(Vec<Vec<u8>>),
}

impl Batch {
    pub(crate) fn samples(&self) -> Vec<PushedSample<'_>> {
        let sample = |index, bytes| PushedSample {
            id: self.ids.get(index).map_or("", String::as_str),
            label: self.labels.get(index).map_or("", String::as_str),
            bytes,
        };
        match &self.data {
            Data::Rows { values, row } => {
                let rows = values.chunks(*row).enumerate();
                rows.map(|(index, row)| sample(index, row)).collect()
            }
            Data::Images(images) => {
                let images = images.iter().enumerate();
                images.map(|(index, image)| sample(index, image)).collect()
            }
        }
    }
}

pub(crate) fn features(request: v1::PushFeaturesRequest) -> Result<Part> {
    match request.part {
        Some(FeaturesPart::Header(header)) => {
            let dimension = header.dimension;
            Ok(header_part(header, PushKind::Features { dimension }))
        }
        Some(FeaturesPart::Rows(rows)) => self::rows(rows).map(Part::Samples),
        Some(FeaturesPart::End(end)) => Ok(end_part(end)),
        None => Err(no_part()),
    }
}

pub(crate) fn images(request: v1::PushImagesRequest) -> Result<Part> {
    match request.part {
        Some(ImagesPart::Header(header)) if header.dimension != 0 => Err(ServiceError::invalid(
            "dimension",
            "must be 0, because images have none",
        )),
        Some(ImagesPart::Header(header)) => Ok(header_part(header, PushKind::Images)),
        Some(ImagesPart::Samples(samples)) => image_samples(samples).map(Part::Samples),
        Some(ImagesPart::End(end)) => Ok(end_part(end)),
        None => Err(no_part()),
    }
}

fn rows(rows: v1::FeatureRows) -> Result<Batch> {
    let count = rows.ids.len();
    if !rows.labels.is_empty() && rows.labels.len() != count {
        let reason = format!("has {} entries for {count} ids", rows.labels.len());
        return Err(ServiceError::invalid("rows.labels", reason));
    }
    let labels = rows.labels.iter().map(String::as_str);
    let labels = labels.chain(std::iter::repeat(""));
    let names = rows.ids.iter().map(String::as_str).zip(labels);
    if checksum::features(names, &rows.values) != rows.crc32 {
        return Err(ServiceError::Checksum(rows.offset));
    }
    let row = rows.values.len().checked_div(count).unwrap_or_default();
    if row == 0 || row * count != rows.values.len() {
        let reason = format!("has {} bytes for {count} samples", rows.values.len());
        return Err(ServiceError::invalid("rows.values", reason));
    }
    Ok(Batch {
        offset: rows.offset,
        ids: rows.ids,
        labels: rows.labels,
        data: Data::Rows {
            values: rows.values,
            row,
        },
    })
}

fn image_samples(message: v1::ImageSamples) -> Result<Batch> {
    let parts = message.samples.iter();
    let parts = parts.map(|s| (s.id.as_str(), s.label.as_str(), s.image.as_slice()));
    if checksum::images(parts) != message.crc32 {
        return Err(ServiceError::Checksum(message.offset));
    }
    let (mut ids, mut labels, mut images) = (Vec::new(), Vec::new(), Vec::new());
    for sample in message.samples {
        ids.push(sample.id);
        labels.push(sample.label);
        images.push(sample.image);
    }
    Ok(Batch {
        offset: message.offset,
        ids,
        labels,
        data: Data::Images(images),
    })
}

fn header_part(header: v1::PushHeader, kind: PushKind) -> Part {
    Part::Header {
        push: header.push,
        kind,
        fingerprint: header.fingerprint,
    }
}

fn end_part(end: v1::PushEnd) -> Part {
    Part::End {
        samples: end.samples,
    }
}

/// A part that a newer client knows.
fn no_part() -> ServiceError {
    ServiceError::invalid("part", "is not a message this server knows")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows_message() -> v1::FeatureRows {
        let values = vec![7; 16];
        v1::FeatureRows {
            offset: 3,
            ids: vec!["a".to_owned(), "b".to_owned()],
            labels: Vec::new(),
            crc32: checksum::features([("a", ""), ("b", "")], &values),
            values,
        }
    }

    #[test]
    fn rows_become_samples() {
        let batch = rows(rows_message()).unwrap();
        let samples = batch.samples();
        assert_eq!((batch.offset, samples.len()), (3, 2));
        assert_eq!((samples[1].id, samples[1].label), ("b", ""));
        assert_eq!(samples[1].bytes, [7; 8]);
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        type Change = fn(&mut v1::FeatureRows);
        let cases: [(Change, &str); 4] = [
            (|rows| rows.values[0] ^= 1, "checksum"),
            (|rows| rows.ids[0].push('x'), "checksum"),
            (|rows| rows.labels.push("l".to_owned()), "rows.labels"),
            (
                |rows| {
                    rows.values.push(0);
                    rows.crc32 = checksum::features([("a", ""), ("b", "")], &rows.values);
                },
                "rows.values",
            ),
        ];
        for (change, named) in cases {
            let mut message = rows_message();
            change(&mut message);
            let error = rows(message).map(drop).unwrap_err().to_string();
            assert!(error.contains(named), "{named}: {error}");
        }
        let empty = v1::FeatureRows {
            crc32: checksum::features([], &[]),
            ..v1::FeatureRows::default()
        };
        assert!(rows(empty).is_err());
    }

    #[test]
    fn images_have_no_dimension() {
        let header = v1::PushHeader {
            push: "p".to_owned(),
            dimension: 3,
            fingerprint: String::new(),
        };
        let part = Some(ImagesPart::Header(header));
        assert!(images(v1::PushImagesRequest { part }).is_err());
        assert!(images(v1::PushImagesRequest { part: None }).is_err());
    }
}
