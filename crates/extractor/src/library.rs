//! Finding and loading ONNX Runtime's shared library.
//!
//! It is looked for at run time, so that one build serves CPU and CUDA libraries and building needs
//! neither. Places, in order: the file named by `ORT_DYLIB_PATH`; the executable's folder, and `lib`
//! in it; the package `onnxruntime` or `onnxruntime-gpu` of the Python environment that the executable is
//! installed in, as `ENVIRONMENT/bin/curriculum`, or of the folder that `pip install --target` filled;
//! `onnxruntime` in a build folder above the executable, one whose name begins with `target`, which
//! `make onnxruntime` fills.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::ExtractorError;

/// A std mutex: nothing awaits under it, and loading happens once. Never emptied again, since ONNX
/// Runtime allows one environment in the life of a process.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The process's ONNX Runtime, loaded on the first call. A failed load may be tried again.
pub(crate) fn environment() -> Result<Environment, ExtractorError> {
    let mut loaded = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*loaded {
        return Ok(environment.clone());
    }
    let path = find(
        env::var_os("ORT_DYLIB_PATH"),
        env::current_exe().ok().as_deref(),
    )?;
    let environment = load(&path)?;
    *loaded = Some(environment.clone());
    Ok(environment)
}

/// Any other first use of `ort` would panic on a bad library; `init_from` gives an error.
fn load(path: &Path) -> Result<Environment, ExtractorError> {
    let unusable = |reason: String| ExtractorError::LibraryUnusable {
        path: path.to_owned(),
        reason,
    };
    let builder = ort::init_from(path).map_err(|error| unusable(reason(error)))?;
    let environment = builder
        .with_name("curriculum")
        .with_telemetry(false)
        .build();
    let environment = environment.map_err(|error| unusable(error.to_string()))?;
    // Verbose by default: a formatted line per allocation, whether or not anyone listens.
    environment.set_log_level(LogLevel::Warning);
    Ok(environment)
}

/// With what the loader said, which the error's own text leaves out.
fn reason(error: LoadDynamicError) -> String {
    match &error {
        LoadDynamicError::Dlopen { error: cause, .. } => match cause.source() {
            Some(said) => said.to_string(),
            None => cause.to_string(),
        },
        LoadDynamicError::MissingApi { .. }
        | LoadDynamicError::InvalidVersionString
        | LoadDynamicError::BadVersion { .. } => error.to_string(),
    }
}

/// A library the user names is taken as it is; there is no falling through to another one.
fn find(named: Option<OsString>, executable: Option<&Path>) -> Result<PathBuf, ExtractorError> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        return Ok(PathBuf::from(named));
    }
    // Links to the executable lie anywhere; the library lies with the file.
    let executable = executable.map(|path| fs::canonicalize(path).unwrap_or(path.to_owned()));
    let looked_in = executable.as_deref().map(folders).unwrap_or_default();
    match looked_in.iter().find_map(|folder| library_in(folder)) {
        Some(path) => Ok(path),
        None => Err(ExtractorError::LibraryNotFound { looked_in }),
    }
}

fn folders(executable: &Path) -> Vec<PathBuf> {
    let Some(home) = executable.parent() else {
        return Vec::new();
    };
    let is_build_folder = |folder: &&Path| {
        folder
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("target"))
    };
    let build_folders = home
        .ancestors()
        .filter(is_build_folder)
        .map(|folder| folder.join("onnxruntime"));
    [home.to_owned(), home.join("lib")]
        .into_iter()
        .chain(home.parent().map(in_packages).unwrap_or_default())
        .chain(build_folders)
        .collect()
}

/// Where the packages of a Python environment have the library: that of the newest Python first. Without
/// any, where it would be.
fn in_packages(environment: &Path) -> Vec<PathBuf> {
    let mut pythons: Vec<_> = ["lib", "lib64"]
        .into_iter()
        .flat_map(|lib| pythons(&environment.join(lib)))
        .collect();
    pythons.sort_unstable();
    let mut packages: Vec<_> = pythons
        .into_iter()
        .rev()
        // Debian's own Python has the second.
        .flat_map(|(_, python)| ["site-packages", "dist-packages"].map(|name| python.join(name)))
        .filter(|packages| packages.is_dir())
        .collect();
    if packages.is_empty() {
        packages.push(environment.join("lib/python3*/site-packages"));
    }
    packages.push(environment.to_owned());
    let library = |packages: PathBuf| packages.join("onnxruntime/capi");
    packages.into_iter().map(library).collect()
}

/// The folders of Pythons in `lib`, with their versions.
fn pythons(lib: &Path) -> Vec<(Vec<u64>, PathBuf)> {
    let names = fs::read_dir(lib).into_iter().flatten();
    let names = names.filter_map(|folder| folder.ok()?.file_name().into_string().ok());
    names
        .filter_map(|name| Some((python(&name)?, lib.join(name))))
        .collect()
}

/// The version in the name of a Python's folder, such as `python3.12`, or `python3.13t`.
fn python(name: &str) -> Option<Vec<u64>> {
    let version = name.strip_prefix("python")?;
    let version = version.strip_suffix('t').unwrap_or(version);
    version.split('.').map(|part| part.parse().ok()).collect()
}

/// The unversioned name if it is there, else the newest version.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let names = fs::read_dir(folder)
        .ok()?
        .filter_map(|file| file.ok()?.file_name().into_string().ok());
    let (_, name) = names.filter_map(|name| Some((rank(&name)?, name))).max()?;
    Some(folder.join(name))
}

/// Orders the library's possible file names; `None` for any other file.
fn rank(name: &str) -> Option<Vec<u64>> {
    let unversioned = || vec![u64::MAX];
    let version = match env::consts::OS {
        "windows" => return (name == "onnxruntime.dll").then(unversioned),
        "macos" => name
            .strip_prefix("libonnxruntime")?
            .strip_suffix(".dylib")?,
        _ => name.strip_prefix("libonnxruntime.so")?,
    };
    if version.is_empty() {
        return Some(unversioned());
    }
    version
        .strip_prefix('.')?
        .split('.')
        .map(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unversioned() -> String {
        format!(
            "{}onnxruntime{}",
            env::consts::DLL_PREFIX,
            env::consts::DLL_SUFFIX
        )
    }

    fn place(folder: &Path, name: &str) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(name), b"").unwrap();
        folder.join(name)
    }

    #[test]
    fn places_are_searched_in_order() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let home = root.join("target/release");
        let executable = home.join("curriculum");
        let found = || find(None, Some(&executable)).unwrap();

        let built = place(&root.join("target/onnxruntime"), &unversioned());
        assert_eq!(found(), built);
        let lib = place(&home.join("lib"), &unversioned());
        assert_eq!(found(), lib);
        let beside = place(&home, &unversioned());
        assert_eq!(found(), beside);
        let named = find(Some("other/library".into()), Some(&executable)).unwrap();
        assert_eq!(named, Path::new("other/library"));
        assert_eq!(find(Some("".into()), Some(&executable)).unwrap(), beside);
    }

    #[test]
    fn the_python_environment_of_the_executable_has_it() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let environment = root.join("environment");
        let executable = place(&environment.join("bin"), "curriculum");
        let capi =
            |python: &str| environment.join(format!("lib/{python}/site-packages/onnxruntime/capi"));
        let other = root.join("lib/python3.12/site-packages/onnxruntime/capi");
        place(&other, &unversioned());
        place(&environment.join("lib/python3.x"), "unrelated");
        let error = find(None, Some(&executable)).unwrap_err();
        let ExtractorError::LibraryNotFound { looked_in } = &error else {
            panic!("{error}")
        };
        assert!(looked_in.contains(&capi("python3*")), "{error}");

        let nine = place(&capi("python3.9"), &unversioned());
        assert_eq!(find(None, Some(&executable)).unwrap(), nine);
        let twelve = place(&capi("python3.12"), &unversioned());
        assert_eq!(find(None, Some(&executable)).unwrap(), twelve);
        #[cfg(unix)]
        {
            let link = root.join("curriculum");
            std::os::unix::fs::symlink(&executable, &link).unwrap();
            assert_eq!(find(None, Some(&link)).unwrap(), twelve);
        }
        let beside = place(&environment.join("bin"), &unversioned());
        assert_eq!(find(None, Some(&executable)).unwrap(), beside);
    }

    #[test]
    fn other_layouts_of_python_packages_have_it() {
        for layout in [
            "lib64/python3.12/site-packages",
            "lib/python3/dist-packages",
            "local/lib/python3.12/dist-packages",
            "",
        ] {
            let root = tempfile::tempdir().unwrap();
            let root = root.path().canonicalize().unwrap();
            let environment = match layout.starts_with("local") {
                true => root.join("local"),
                false => root.clone(),
            };
            let executable = place(&environment.join("bin"), "curriculum");
            let library = place(&root.join(layout).join("onnxruntime/capi"), &unversioned());
            assert_eq!(find(None, Some(&executable)).unwrap(), library, "{layout}");
        }
    }

    #[test]
    fn folders_that_are_no_build_folder_are_not_trusted() {
        let root = tempfile::tempdir().unwrap();
        place(&root.path().join("onnxruntime"), &unversioned());
        let home = root.path().join("bin");
        let error = find(None, Some(&home.join("curriculum"))).unwrap_err();
        let ExtractorError::LibraryNotFound { looked_in } = &error else {
            panic!("{error}")
        };
        assert_eq!(looked_in[..2], [home.clone(), home.join("lib")]);
        assert!(!looked_in.contains(&root.path().join("onnxruntime")));
        for word in [
            "make onnxruntime",
            "pip install onnxruntime",
            "ORT_DYLIB_PATH",
            home.to_str().unwrap(),
        ] {
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn newest_version_is_taken_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "libonnxruntime_providers_shared.so",
            "libonnxruntime.so.txt",
            "onnxruntime.dll",
        ] {
            place(folder.path(), name);
            assert_eq!(library_in(folder.path()), None, "{name}");
        }
        place(folder.path(), "libonnxruntime.so.1.9.0");
        let newest = place(folder.path(), "libonnxruntime.so.1.32.0");
        assert_eq!(library_in(folder.path()), Some(newest));
        let unversioned = place(folder.path(), "libonnxruntime.so");
        assert_eq!(library_in(folder.path()), Some(unversioned));
    }
}
