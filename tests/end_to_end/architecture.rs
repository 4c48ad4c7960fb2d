//! Which crate may depend on what, read from `cargo metadata`.

use serde_json::Value;
use std::{fs, path::Path, process::Command};

/// What one package may do.
struct Rule {
    package: &'static str,
    /// The workspace packages it may depend on.
    uses: &'static [&'static str],
    /// Crates it must never depend on; each stands for its family, as `tonic` for `tonic-types`.
    banned: &'static [&'static str],
}

const METHOD: &str = "curriculum";
const CLUSTERING: &str = "curriculum-clustering";
const NPY: &str = "curriculum-npy";
const MANIFEST: &str = "curriculum-manifest";
const EXTRACTOR: &str = "curriculum-extractor";
const STORE: &str = "curriculum-store";
const PIPELINE: &str = "curriculum-pipeline";
const PROTO: &str = "curriculum-proto";
const SERVER: &str = "curriculum-server";
const CLI: &str = "curriculum-cli";
const TESTS: &str = "curriculum-tests";

const RULES: [Rule; 11] = [
    Rule {
        package: METHOD,
        uses: &[],
        banned: &["tokio", "tonic", "sled", "ort"],
    },
    Rule {
        package: CLUSTERING,
        uses: &[METHOD],
        banned: &["tokio", "tonic", "sled", "ort"],
    },
    Rule {
        package: NPY,
        uses: &[],
        banned: &["tokio", "tonic", "sled", "ort"],
    },
    Rule {
        package: MANIFEST,
        uses: &[NPY],
        banned: &["tonic", "sled", "ort"],
    },
    Rule {
        package: EXTRACTOR,
        uses: &[NPY],
        banned: &["tonic", "sled"],
    },
    Rule {
        package: STORE,
        uses: &[METHOD],
        banned: &["tonic", "ort"],
    },
    Rule {
        package: PIPELINE,
        uses: &[METHOD, CLUSTERING, NPY, MANIFEST, EXTRACTOR, STORE],
        banned: &["tonic", "sled", "ort", "clap"],
    },
    Rule {
        package: PROTO,
        uses: &[],
        banned: &["sled", "ort"],
    },
    Rule {
        package: SERVER,
        uses: &[
            METHOD, CLUSTERING, NPY, MANIFEST, EXTRACTOR, STORE, PIPELINE, PROTO,
        ],
        banned: &["sled", "ort"],
    },
    Rule {
        package: CLI,
        uses: &[
            METHOD, CLUSTERING, NPY, MANIFEST, EXTRACTOR, STORE, PIPELINE, PROTO, SERVER,
        ],
        banned: &["sled", "ort"],
    },
    // The service is tested from outside: what is not on the wire or in a file is not its business.
    Rule {
        package: TESTS,
        uses: &[PROTO],
        banned: &["sled", "ort"],
    },
];

#[test]
fn crates_depend_on_what_they_may() {
    assert_eq!(violations(&metadata()), [""; 0]);
}

#[test]
fn a_forbidden_dependency_is_found() {
    for (package, name, found) in [
        (SERVER, "sled", "curriculum-server must not depend on sled"),
        (CLI, "ort-sys", "curriculum-cli must not depend on ort-sys"),
        (
            METHOD,
            "tokio-stream",
            "curriculum must not depend on tokio-stream",
        ),
        (
            PROTO,
            "curriculum",
            "curriculum-proto must not depend on curriculum",
        ),
        (
            STORE,
            PIPELINE,
            "curriculum-store must not depend on curriculum-pipeline",
        ),
    ] {
        for kind in [Value::Null, "dev".into(), "build".into()] {
            let mut metadata = metadata();
            let dependencies = package_mut(&mut metadata, package)["dependencies"].as_array_mut();
            dependencies
                .unwrap()
                .push(serde_json::json!({"name": name, "kind": kind}));
            assert_eq!(violations(&metadata), [found]);
        }
    }
}

#[test]
fn a_crate_without_a_rule_and_a_rule_without_a_crate_are_found() {
    let mut metadata = metadata();
    package_mut(&mut metadata, PROTO)["name"] = "curriculum-common".into();
    let expected = [
        "curriculum-common has no rule",
        "curriculum-proto is not in the workspace",
    ];
    assert_eq!(violations(&metadata), expected);
}

/// Cargo sees crates; files, sockets and async need none.
#[test]
fn the_method_does_no_input_or_output() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/curriculum/src");
    let banned = [
        "std::fs",
        "std::io",
        "std::net",
        "std::process",
        "async fn",
        ".await",
    ];
    let mut read = 0;
    visit(&sources, &mut |path, text| {
        read += 1;
        for banned in banned {
            assert!(!text.contains(banned), "`{banned}` in {}", path.display());
        }
    });
    assert!(read > 0);
}

fn violations(metadata: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages(metadata) {
        match RULES.iter().find(|rule| rule.package == name(package)) {
            Some(rule) => found.extend(broken(rule, package)),
            None => found.push(format!("{} has no rule", name(package))),
        }
    }
    let missing = RULES
        .iter()
        .filter(|rule| packages(metadata).iter().all(|p| name(p) != rule.package));
    found.extend(missing.map(|rule| format!("{} is not in the workspace", rule.package)));
    found
}

/// Dependencies of all three kinds count: a test that needs a banned crate is in the wrong place.
fn broken<'a>(rule: &'a Rule, package: &'a Value) -> impl Iterator<Item = String> + 'a {
    let dependencies = package["dependencies"].as_array().unwrap().iter().map(name);
    dependencies
        .filter(|dependency| !allowed(rule, dependency))
        .map(|dependency| format!("{} must not depend on {dependency}", rule.package))
}

fn allowed(rule: &Rule, dependency: &str) -> bool {
    if RULES.iter().any(|other| other.package == dependency) {
        return rule.uses.contains(&dependency);
    }
    let of_family = |family: &&str| {
        let rest = dependency.strip_prefix(*family);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    !rule.banned.iter().any(of_family)
}

fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--locked",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn packages(metadata: &Value) -> &[Value] {
    metadata["packages"].as_array().unwrap()
}

fn package_mut<'a>(metadata: &'a mut Value, wanted: &str) -> &'a mut Value {
    let packages = metadata["packages"].as_array_mut().unwrap();
    packages
        .iter_mut()
        .find(|package| name(package) == wanted)
        .unwrap()
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap()
}

fn visit(folder: &Path, file: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, file);
        } else {
            file(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}
