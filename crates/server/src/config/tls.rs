//! Encryption of the gRPC port.

use super::ConfigError;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Encryption of the gRPC port: PEM files, read again when they change. None set: plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The server's certificate, then those that lead to its authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// Private key of the first certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Authorities of clients' certificates; with it, a client without one is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca_file: Option<PathBuf>,
}

/// The files that an encrypted port needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: Option<PathBuf>,
}

impl Tls {
    /// The files, unless the port is plain text.
    ///
    /// # Errors
    /// When one is set and another that it needs is not.
    pub(crate) fn files(&self) -> Result<Option<TlsFiles>, ConfigError> {
        let missing = |key, because| Err(ConfigError::Missing { key, because });
        match (&self.cert_file, &self.key_file, &self.client_ca_file) {
            (Some(cert), Some(key), client_ca) => Ok(Some(TlsFiles {
                cert: cert.clone(),
                key: key.clone(),
                client_ca: client_ca.clone(),
            })),
            (None, None, None) => Ok(None),
            (Some(_), None, _) => missing("tls.key_file", "tls.cert_file"),
            (None, Some(_), _) => missing("tls.cert_file", "tls.key_file"),
            (None, None, Some(_)) => missing("tls.cert_file", "tls.client_ca_file"),
        }
    }
}
