//! The `curriculum` binary, built on first use.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Path of the binary.
///
/// Cargo sets `CARGO_BIN_EXE_curriculum` only for tests inside the package that owns the binary, and
/// building this package does not build that one. So the first caller runs cargo, with the profile
/// and the target folder that this test binary was built with, for the packages that `cargo test
/// --workspace` builds: an up-to-date binary costs a fraction of a second.
///
/// # Panics
/// When the build fails; its errors are on standard error.
#[must_use]
pub fn path() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(build)
}

fn build() -> PathBuf {
    // TARGET_FOLDER/PROFILE/deps/end_to_end-HASH
    let test = env::current_exe().unwrap();
    let outputs = test.ancestors().nth(2).unwrap();
    let profile = match outputs.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        named => named,
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--quiet",
            "--locked",
            "--workspace",
            "--bins",
            "--tests",
        ])
        .args(["--profile", profile, "--target-dir"])
        .arg(outputs.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    // What cargo tells a test of its package is not for another cargo: build scripts that look at it would
    // run again, here and in the next build outside, with all that depends on them.
    for (name, _) in env::vars_os() {
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if of_package
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            cargo.env_remove(name);
        }
    }
    let status = cargo.status().unwrap();
    assert!(status.success(), "cannot build the binary: {status}");
    outputs.join(format!("curriculum{}", env::consts::EXE_SUFFIX))
}
