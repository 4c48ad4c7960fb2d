//! The HTML report: one file that needs neither network nor script.
//!
//! | module | holds |
//! |---|---|
//! | `facts` | what the report says, asked of the server |
//! | `images` | thumbnails of the samples that it shows |
//! | `chart` | geometry of histogram and curves |
//! | `page` | the page, rendered |

mod chart;
mod facts;
mod images;
mod page;

pub(crate) use facts::{Facts, clipped, collect, method, temperature};
pub(crate) use images::Images;

use crate::exit::BadInput;
use std::path::{Path, PathBuf};

/// Where the report finds the samples' images.
pub(crate) enum ImageSource {
    /// A source on this machine, which must be there.
    Given(PathBuf),
    /// The version's own source, when this machine has it.
    Version,
}

/// Writes the report on `facts` to `path`.
///
/// # Errors
/// [`BadInput`] when `path` cannot be written or a given source of images is not there; images that
/// cannot be read are shown as such.
pub(crate) async fn write(facts: Facts, images: ImageSource, path: &Path) -> anyhow::Result<()> {
    let source = match images {
        ImageSource::Given(source) if !source.exists() => {
            let missing = format!("--images {}: no such file or folder", source.display());
            return Err(BadInput(missing).into());
        }
        ImageSource::Given(source) => source,
        ImageSource::Version => PathBuf::from(&facts.version.source),
    };
    let html = tokio::task::spawn_blocking(move || {
        let images = Images::read(&source, &facts.summary);
        page::render(&facts, &images)
    });
    let html = html.await??;
    std::fs::write(path, html)
        .map_err(|error| BadInput(format!("cannot write {}: {error}", path.display())).into())
}
