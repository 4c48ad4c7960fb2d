//! A manifest's samples in messages of about 1 MiB.

use super::Message;
use crate::exit::BadInput;
use curriculum_manifest::{Kind, Manifest};
use curriculum_proto::v1;
use curriculum_server::checksum;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::mpsc;

/// Bytes of samples in a message, from which on it is full.
const FULL: usize = 1 << 20;

/// Samples in a message, at most.
const MOST: u64 = 4_096;

/// Reads samples from `next` on; it blocks.
pub(super) struct Batches {
    pub(super) push: String,
    pub(super) fingerprint: String,
    pub(super) manifest: Arc<Manifest>,
    pub(super) next: u64,
    /// Samples handed over so far.
    pub(super) sent: Arc<AtomicU64>,
}

impl Batches {
    /// Sends a whole push, from the header to the end, or until nobody takes it.
    ///
    /// # Errors
    /// [`BadInput`] when a sample cannot be read: the stream then stops without an end.
    pub(super) fn send(mut self, messages: &mpsc::Sender<Message>) -> Result<(), BadInput> {
        let header = v1::PushHeader {
            push: self.push.clone(),
            dimension: match self.manifest.kind() {
                Kind::Features { dimension } => dimension,
                Kind::Images | Kind::Assignments => 0,
            },
            fingerprint: self.fingerprint.clone(),
        };
        if messages.blocking_send(Message::Header(header)).is_err() {
            return Ok(());
        }
        let samples = self.manifest.len();
        while self.next < samples {
            let batch = self.batch()?;
            if messages.blocking_send(batch).is_err() {
                return Ok(());
            }
            self.sent.store(self.next, Ordering::Relaxed);
        }
        // Nobody there any more: the call says why.
        let _ = messages.blocking_send(Message::End(v1::PushEnd { samples }));
        Ok(())
    }

    fn batch(&mut self) -> Result<Message, BadInput> {
        let bad = |error: &dyn std::fmt::Display| BadInput(error.to_string());
        let offset = self.next;
        let end = self.manifest.len().min(offset + MOST);
        let listed = self.manifest.samples(offset..end);
        let mut samples = Vec::new();
        let mut bytes = 0;
        for sample in listed.map_err(|error| bad(&error))? {
            let read = self.manifest.read(self.next);
            let image = read.map_err(|error| bad(&error))?;
            bytes += image.len() + sample.id.len();
            self.next += 1;
            samples.push(v1::ImageSample {
                id: sample.id.into(),
                label: sample.label.as_deref().unwrap_or_default().to_owned(),
                image,
            });
            if bytes >= FULL {
                break;
            }
        }
        Ok(match self.manifest.kind() {
            Kind::Features { .. } => Message::Rows(rows(offset, samples)),
            Kind::Images | Kind::Assignments => Message::Images(images(offset, samples)),
        })
    }
}

fn rows(offset: u64, samples: Vec<v1::ImageSample>) -> v1::FeatureRows {
    let mut rows = v1::FeatureRows {
        offset,
        ..v1::FeatureRows::default()
    };
    for sample in samples {
        rows.ids.push(sample.id);
        rows.labels.push(sample.label);
        rows.values.extend(sample.image);
    }
    let labels = rows.labels.iter().map(String::as_str);
    let names = rows.ids.iter().map(String::as_str).zip(labels);
    rows.crc32 = checksum::features(names, &rows.values);
    rows
}

fn images(offset: u64, samples: Vec<v1::ImageSample>) -> v1::ImageSamples {
    let parts = samples.iter();
    let parts = parts.map(|s| (s.id.as_str(), s.label.as_str(), s.image.as_slice()));
    v1::ImageSamples {
        offset,
        crc32: checksum::images(parts),
        samples,
    }
}
