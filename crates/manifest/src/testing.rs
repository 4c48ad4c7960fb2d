//! For tests: sources opened with everything allowed.

use std::ops::ControlFlow;
use std::path::Path;

use crate::access::Access;
use crate::error::ManifestError;
use crate::manifest::Manifest;
use crate::sample::Sample;
use crate::source::Source;

pub(crate) fn access() -> Access {
    Access::unrestricted()
}

pub(crate) fn open_source(source: &Source) -> Result<Manifest, ManifestError> {
    Manifest::open(source, &access(), &mut |_| ControlFlow::Continue(()))
}

pub(crate) fn open(path: &Path) -> Result<Manifest, ManifestError> {
    open_source(&Source::new(path.to_str().unwrap()))
}

/// The manifest of a file of this name and content, whose name is gone by now.
pub(crate) fn open_bytes(name: &str, bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    open(&path)
}

pub(crate) fn samples(manifest: &Manifest) -> Vec<Sample> {
    manifest.samples(0..u64::MAX).unwrap()
}
