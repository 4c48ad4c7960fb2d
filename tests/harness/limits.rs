//! What the system lets the tests' own process have.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::sync::OnceLock;

/// Files and connections that may be open, once for all tests. The first caller asks for all that there may be.
///
/// # Panics
/// When the system refuses.
#[must_use]
pub fn open_files() -> u64 {
    static MOST: OnceLock<u64> = OnceLock::new();
    *MOST.get_or_init(|| {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
        most
    })
}
