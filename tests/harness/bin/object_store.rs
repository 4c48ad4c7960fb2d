//! The S3-compatible server of these tests as a process, for tests in other languages: `object-store BUCKET…`.
//!
//! Prints what its clients need to know, environment variables as a JSON object in one line, and serves until its
//! input ends.

#![expect(
    clippy::print_stdout,
    reason = "whoever starts it reads there where it is"
)]

use curriculum_tests::s3::S3;
use std::{collections::BTreeMap, env, io};

fn main() -> io::Result<()> {
    let store = S3::start();
    for bucket in env::args().skip(1) {
        let _ = store.bucket(&bucket);
    }
    let settings: BTreeMap<_, _> = store.settings().into_iter().collect();
    println!("{}", serde_json::to_string(&settings)?);
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
