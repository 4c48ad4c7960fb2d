//! Where the hub is and how patient to be, as users of the hub's own tools set it.
//!
//! Source: <https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables>.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

const ENDPOINT: &str = "https://huggingface.co";

/// Below `HF_HOME` or `HF_HUB_CACHE`, beside what the hub's own tools keep there.
const FOLDER: &str = "curriculum";

/// How a model is pulled.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// `HF_ENDPOINT`, default `https://huggingface.co`.
    pub endpoint: String,
    /// `HF_HUB_CACHE/curriculum`, else `HF_HOME/curriculum`, where `HF_HOME` is
    /// `~/.cache/huggingface` by default.
    pub cache: PathBuf,
    /// `HF_TOKEN`, else what is in the file `HF_TOKEN_PATH`, by default `HF_HOME/token`.
    pub token: Option<Token>,
    /// `HF_HUB_OFFLINE`: the cache or nothing.
    pub offline: bool,
    /// Accept another file than the one pinned, and pin that.
    pub refresh: bool,
    /// For a name to resolve, and again for a connection; default 10 s.
    pub connect_timeout: Duration,
    /// Without a byte, until a connection counts as broken; default 20 s.
    pub stall_timeout: Duration,
    /// Attempts after the first, counted anew after every MiB; default 4.
    pub retries: u32,
    /// Before the first retry; doubles each time. Default 1 s.
    pub backoff: Duration,
}

/// A secret, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// White space around it is no part of it; none if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl HubOptions {
    /// As the environment says.
    pub fn from_env() -> Self {
        Self::from_variables(&|name| env::var_os(name))
    }

    fn from_variables(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let home = home(&set);
        let token_file = set("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
        let token = text("HF_TOKEN").or_else(|| fs::read_to_string(token_file).ok());
        Self {
            endpoint: text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned()),
            cache: set("HF_HUB_CACHE").map_or(home, PathBuf::from).join(FOLDER),
            token: token.as_deref().and_then(Token::new),
            offline: text("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)),
            refresh: false,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(20),
            retries: 4,
            backoff: Duration::from_secs(1),
        }
    }

    /// The folder of all pulled models.
    pub fn cache(&self) -> &Path {
        &self.cache
    }
}

fn home(set: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    let below = |name, folder| set(name).map(|base| PathBuf::from(base).join(folder));
    set("HF_HOME")
        .map(PathBuf::from)
        .or_else(|| below("XDG_CACHE_HOME", "huggingface"))
        .or_else(|| below("HOME", ".cache/huggingface"))
        .or_else(|| below("USERPROFILE", ".cache/huggingface"))
        .unwrap_or_else(|| env::temp_dir().join("huggingface"))
}

fn is_true(value: &str) -> bool {
    ["1", "true", "yes", "on"].contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> HubOptions {
        HubOptions::from_variables(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_cache_is_where_the_hubs_tools_have_theirs() {
        for (variables, cache) in [
            (&[("HOME", "/h")][..], "/h/.cache/huggingface/curriculum"),
            (
                &[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")],
                "/x/huggingface/curriculum",
            ),
            (&[("HOME", "/h"), ("HF_HOME", "/f")], "/f/curriculum"),
            (
                &[("HF_HOME", "/f"), ("HF_HUB_CACHE", "/c")],
                "/c/curriculum",
            ),
            (&[("HF_HOME", "/f"), ("HF_HUB_CACHE", "")], "/f/curriculum"),
        ] {
            assert_eq!(options(variables).cache(), Path::new(cache));
        }
    }

    #[test]
    fn the_token_is_found_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        fs::write(folder.path().join("token"), "hf_home\n").unwrap();
        fs::write(folder.path().join("other"), " hf_other ").unwrap();
        let other = folder.path().join("other");
        let path = ("HF_TOKEN_PATH", other.to_str().unwrap());
        for (variables, token) in [
            (&[("HF_HOME", home)][..], Some("hf_home")),
            (&[("HF_HOME", home), path], Some("hf_other")),
            (
                &[("HF_HOME", home), path, ("HF_TOKEN", "hf_env")],
                Some("hf_env"),
            ),
            (&[("HF_HOME", "/nowhere")], None),
        ] {
            let options = options(variables);
            assert_eq!(options.token.as_ref().map(Token::reveal), token);
            assert!(!format!("{options:?}").contains("hf_"));
        }
    }

    #[test]
    fn offline_is_a_switch() {
        for (value, offline) in [("1", true), ("TRUE", true), ("0", false), ("", false)] {
            let options = options(&[("HF_HUB_OFFLINE", value), ("HF_ENDPOINT", "")]);
            assert_eq!(options.offline, offline, "{value}");
            assert_eq!(options.endpoint, ENDPOINT);
        }
    }
}
