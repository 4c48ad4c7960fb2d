//! Every setting: defaults, then the TOML file, then `CURRICULUM__SECTION__KEY`, then flags.

use curriculum_manifest::AccessError;
use figment::{
    Figment,
    error::{Actual, Kind},
    providers::{Env, Format, Serialized, Toml},
};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

mod auth;
mod grpc;
mod http;
mod model;
mod sources;
mod storage;
mod tls;
mod versions;

pub use auth::Auth;
pub use grpc::Grpc;
pub use http::{Http, HttpAddr, NoHttpAddr};
pub use model::{Model, ModelOverrides};
pub use sources::Sources;
pub use storage::Storage;
pub use tls::Tls;
pub(crate) use tls::TlsFiles;
pub use versions::Versions;

const ENV_PREFIX: &str = "CURRICULUM__";

/// Variables of that prefix that are not settings of the server.
const OTHER_VARIABLES: [&str; 2] = ["server", "config"];

/// The merged settings of a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The gRPC port.
    pub grpc: Grpc,
    /// Encryption of the gRPC port.
    pub tls: Tls,
    /// Who may call.
    pub auth: Auth,
    /// The HTTP side port, for probes and metrics.
    pub http: Http,
    /// The data folder.
    pub storage: Storage,
    /// What jobs may read.
    pub sources: Sources,
    /// Where versions are published for other servers.
    pub versions: Versions,
    /// The model and where it runs.
    pub model: Model,
    /// Logs.
    pub log: Log,
}

/// Logs, on standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Directives as `RUST_LOG` takes them, such as `info` or `curriculum_pipeline=debug`.
    pub filter: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// What the command line says; `None` leaves the setting to file, environment and default.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `grpc.addr`
    pub grpc_addr: Option<SocketAddr>,
    /// `http.addr`
    pub http_addr: Option<HttpAddr>,
    /// `tls.…`
    pub tls: Tls,
    /// `storage.data_dir`
    pub data_dir: Option<PathBuf>,
    /// `versions.url`
    pub versions: Option<String>,
    /// `versions.read_only`
    pub read_only: Option<bool>,
    /// `model.…`
    pub model: ModelOverrides,
}

/// Settings that cannot be used; the text names the key and where it came from.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Unknown key, wrong type, or a value out of its range.
    #[error("configuration: {0}")]
    Invalid(String),
    /// The file is not there.
    #[error("configuration: cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// An entry of the allow-list that is no place.
    #[error("configuration: sources.allow: {0}")]
    Allow(#[from] AccessError),
    /// A folder that versions cannot be published in, or served from.
    #[error("configuration: versions.url: {0}")]
    Versions(String),
    /// A setting that another one needs.
    #[error("configuration: {key} is not set, and {because} needs it")]
    Missing {
        /// The setting.
        key: &'static str,
        /// The other one.
        because: &'static str,
    },
    /// A value that no server can work with.
    #[error("configuration: {key} {reason}")]
    Wrong {
        /// The setting.
        key: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A number that no server can work with.
    #[error("configuration: {key} is {value}, but must lie in {min}..{max}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// What it is.
        value: u64,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
    },
}

impl Config {
    /// Merges defaults, `file`, the environment and `overrides`, in that order.
    ///
    /// # Errors
    /// On an unreadable file, an unknown key or a value of the wrong type or range.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
                path: path.to_owned(),
                source,
            })?;
            figment = figment.merge(Toml::string(&text));
        }
        figment = figment.merge(
            Env::prefixed(ENV_PREFIX)
                .ignore(&OTHER_VARIABLES)
                .split("__"),
        );
        figment = overrides.merge_into(figment);
        let config: Self = figment
            .extract()
            .map_err(|error| ConfigError::Invalid(said(without_text(error), file)))?;
        config.check()?;
        Ok(config)
    }

    /// As TOML, readable by [`Config::load`].
    #[must_use]
    pub fn to_toml(&self) -> String {
        #[expect(
            clippy::expect_used,
            reason = "plain tables of strings and numbers: TOML cannot fail"
        )]
        toml::to_string_pretty(self).expect("settings serialise")
    }

    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self.tls.cert_file {
            Some(_) => "https",
            None => "http",
        }
    }

    /// The files of keys and certificates, each with the setting that names it.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let (tls, auth) = (&self.tls, &self.auth);
        let files = [
            ("tls.cert_file", &tls.cert_file),
            ("tls.key_file", &tls.key_file),
            ("tls.client_ca_file", &tls.client_ca_file),
            ("auth.read_keys_file", &auth.read_keys_file),
            ("auth.write_keys_file", &auth.write_keys_file),
            ("auth.curriculum_keys_file", &auth.curriculum_keys_file),
        ];
        let files = files.into_iter();
        files.filter_map(|(setting, file)| Some((setting, file.as_deref()?)))
    }

    /// The setting that names this file.
    pub(crate) fn setting_of(&self, path: &Path) -> &'static str {
        let mut files = self.files();
        let found = files.find(|(_, file)| *file == path);
        found.map_or("a file", |(setting, _)| setting)
    }

    /// Whether calls can be asked for their descriptions.
    #[must_use]
    pub fn reflection(&self) -> bool {
        self.grpc.reflection.unwrap_or(!self.auth.is_on())
    }

    /// Whether keys are readable on their way from other machines.
    #[must_use]
    pub fn exposes_keys(&self) -> bool {
        self.auth.is_on() && self.tls.cert_file.is_none() && !self.grpc.addr.ip().is_loopback()
    }

    fn check(&self) -> Result<(), ConfigError> {
        let limits = [
            (
                "storage.keep_versions",
                self.storage.keep_versions.map_or(1, |keep| keep as u64),
                1,
                1_000_000,
            ),
            ("sources.max_samples", self.sources.max_samples, 1, 1 << 40),
            (
                "sources.max_sample_bytes",
                self.sources.max_sample_bytes,
                1,
                1 << 32,
            ),
            (
                "sources.concurrency",
                self.sources.concurrency as u64,
                1,
                4096,
            ),
            ("sources.retries", self.sources.retries as u64, 0, 1000),
            (
                "sources.connect_timeout_seconds",
                self.sources.connect_timeout_seconds,
                1,
                86_400,
            ),
            (
                "sources.read_timeout_seconds",
                self.sources.read_timeout_seconds,
                1,
                86_400,
            ),
            (
                "versions.refresh_milliseconds",
                self.versions.refresh_milliseconds,
                100,
                3_600_000,
            ),
            ("model.batch_size", self.model.batch_size as u64, 0, 4096),
            ("model.threads", self.model.threads as u64, 0, 1024),
        ];
        match limits
            .into_iter()
            .chain(self.grpc.limits())
            .find(|(_, value, min, max)| value < min || value > max)
        {
            Some((key, value, min, max)) => Err(ConfigError::OutOfRange {
                key,
                value,
                min,
                max,
            }),
            None => {
                self.check_places()?;
                self.versions.check()?;
                self.tls.files()?;
                Ok(self.access().map(drop)?)
            }
        }
    }
}

impl Config {
    /// Ports and folders, as far as they can be judged without opening them.
    fn check_places(&self) -> Result<(), ConfigError> {
        let wrong = |key, reason| Err(ConfigError::Wrong { key, reason });
        if self.storage.data_dir.as_os_str().is_empty() {
            return wrong("storage.data_dir", "is empty");
        }
        if self.http.addr == HttpAddr::At(self.grpc.addr) && self.grpc.addr.port() != 0 {
            return wrong("http.addr", "is that of grpc.addr");
        }
        Ok(())
    }
}

/// A key or an address with a password may stand where something else should: only the setting is named.
fn without_text(mut error: figment::Error) -> figment::Error {
    if let Kind::InvalidType(found @ Actual::Str(_), _)
    | Kind::InvalidValue(found @ Actual::Str(_), _) = &mut error.kind
    {
        *found = Actual::Other("text".to_owned());
    }
    error
}

/// In one line, with the setting and where it was read. Lines of the file are not repeated.
fn said(error: figment::Error, file: Option<&Path>) -> String {
    let text = error.kind.to_string();
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.contains('|'));
    let mut said = lines.collect::<Vec<_>>().join(": ");
    if !error.path.is_empty() {
        said = format!("{}: {said}", error.path.join("."));
    }
    match (error.metadata, file) {
        (Some(metadata), Some(file)) if metadata.name.starts_with("TOML") => {
            format!("{}: {said}", file.display())
        }
        (Some(metadata), _) => format!("{said}, in {}", metadata.name),
        (None, _) => said,
    }
}

impl Overrides {
    fn merge_into(&self, figment: Figment) -> Figment {
        fn set<T: Serialize>(figment: Figment, key: &str, value: Option<&T>) -> Figment {
            match value {
                Some(value) => figment.merge(Serialized::default(key, value)),
                None => figment,
            }
        }
        let figment = set(figment, "grpc.addr", self.grpc_addr.as_ref());
        let figment = set(figment, "http.addr", self.http_addr.as_ref());
        let figment = set(figment, "tls", Some(&self.tls));
        let figment = set(figment, "storage.data_dir", self.data_dir.as_ref());
        let figment = set(figment, "versions.url", self.versions.as_ref());
        let figment = set(figment, "versions.read_only", self.read_only.as_ref());
        set(figment, "model", Some(&self.model))
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, overrides: &Overrides) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        Config::load(Some(file.path()), overrides)
    }

    #[test]
    fn flags_win_over_the_file() {
        let overrides = Overrides {
            model: ModelOverrides {
                threads: Some(3),
                ..ModelOverrides::default()
            },
            ..Overrides::default()
        };
        let config = load("[model]\nthreads = 2\nbatch_size = 8\n", &overrides).unwrap();
        assert_eq!((config.model.threads, config.model.batch_size), (3, 8));
        assert_eq!(config.grpc, Grpc::default());
    }

    #[test]
    fn unknown_keys_and_bad_values_name_the_key() {
        for (toml, key) in [
            ("[grpc]\nadr = \"x\"", "adr"),
            ("[grpcc]\naddr = \"x\"", "grpcc"),
            (
                "[model]\nexecution_provider = \"tpu\"",
                "execution_provider",
            ),
            ("[model]\nbatch_size = 5000", "model.batch_size"),
            ("[http]\naddr = \"9090\"", "http.addr"),
            ("[sources]\nallow = [\"data\"]", "sources.allow"),
            ("[sources]\nconcurrency = 0", "sources.concurrency"),
            ("[storage]\nkeep_versions = 0", "storage.keep_versions"),
            ("[storage]\ndata_dir = \"\"", "storage.data_dir"),
            ("[grpc]\naddr = \"127.0.0.1:9090\"", "http.addr"),
            (
                "[sources]\nread_timeout_seconds = 0",
                "sources.read_timeout_seconds",
            ),
            ("[tls]\ncert_file = \"tls.crt\"", "tls.key_file"),
            ("[tls]\nclient_ca_file = \"ca.crt\"", "tls.cert_file"),
            (
                "[grpc]\nwrite_stall_seconds = 0",
                "grpc.write_stall_seconds",
            ),
            (
                "[grpc]\nmax_concurrent_requests = 9000000000000000000",
                "grpc.max_concurrent_requests",
            ),
        ] {
            let error = load(toml, &Overrides::default()).unwrap_err().to_string();
            assert!(error.contains(key), "{toml}: {error}");
        }
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        for (toml, said) in [
            ("[log]\nfilter = \n", "line 2, column 10: "),
            ("[log]\nfiltr = \"info\"\n", "log.filtr: unknown field"),
            (
                "[sources]\nretries = \"x\"\n",
                "sources.retries: invalid type",
            ),
        ] {
            std::fs::write(file.path(), toml).unwrap();
            let loaded = Config::load(Some(file.path()), &Overrides::default());
            let error = loaded.unwrap_err().to_string();
            let named = error.contains(&file.path().display().to_string());
            assert!(
                named && error.contains(said) && error.lines().count() == 1,
                "{error}"
            );
        }
    }

    #[test]
    fn text_in_a_wrong_place_is_not_repeated() {
        for (toml, key) in [
            ("[auth]\nread_keys_file = SECRET", "line 2"),
            (
                "[sources]\nallow = \"https://u:SECRET@h.example/\"",
                "allow",
            ),
            ("auth = \"SECRET\"", "auth"),
            ("[sources]\nconcurrency = \"SECRET\"", "concurrency"),
            ("[grpc]\naddr = \"u:SECRET@h.example\"", "addr"),
        ] {
            let error = load(toml, &Overrides::default()).unwrap_err().to_string();
            assert!(error.contains(key) && !error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn printed_settings_read_back() {
        let config = Config::default();
        assert_eq!(
            load(&config.to_toml(), &Overrides::default()).unwrap(),
            config
        );
    }
}
