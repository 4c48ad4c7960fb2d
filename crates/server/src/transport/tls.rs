//! Certificates and keys.

use super::{
    expiry,
    reload::{Contents, FileError, Reloading},
};
use crate::config::TlsFiles;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{path::Path, sync::Arc};

/// What connections are encrypted with, kept up to date.
pub(super) type Certificates = Reloading<Tls>;

/// What connections are encrypted with.
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// A client's certificate, then those that lead to its authority.
pub(super) type Identity = Vec<CertificateDer<'static>>;

impl Tls {
    /// Whether a client that came with this identity could come with it now: it has not expired, and its
    /// authority is among those that are trusted.
    pub(super) fn still_trusts(&self, client: &Identity) -> bool {
        match (&self.clients, client.split_first()) {
            (Some(verifier), Some((own, others))) => {
                let verified = verifier.verify_client_cert(own, others, UnixTime::now());
                verified.is_ok()
            }
            (None, _) | (_, None) => true,
        }
    }
}

/// Reads the files.
///
/// # Errors
/// When one cannot be used, or key and certificate do not belong together.
pub(super) fn open(files: &TlsFiles) -> Result<Certificates, FileError> {
    let mut paths = vec![files.cert.clone(), files.key.clone()];
    paths.extend(files.client_ca.clone());
    let files = files.clone();
    Reloading::open("certificates", paths, move |contents| {
        let config = config(&files, contents)?;
        expiry::tell(&contents[0]);
        Ok(config)
    })
}

fn config(files: &TlsFiles, contents: &Contents) -> Result<Tls, FileError> {
    let (cert, key) = (&contents[0], &contents[1]);
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&files.cert, cert)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| FileError::unusable(&files.key, "holds no private key in PEM"))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| FileError::unusable(&files.cert, error))?;
    let clients = match &files.client_ca {
        None => None,
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(
                authorities(path, &contents[2])?,
                provider,
            );
            let verifier = verifier.build();
            let verifier = verifier.map_err(|error| FileError::unusable(path, error))?;
            Some(verifier)
        }
    };
    let builder = match &clients {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| FileError::unusable(&files.cert, format!("with its key: {error}")))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    if files.client_ca.is_some() {
        // A resumed session would not ask whether the client's certificate is still good.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Tls {
        config: Arc::new(config),
        clients,
    })
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(FileError::unusable(path, "holds no certificate in PEM")),
        Err(error) => Err(FileError::unusable(path, error)),
    }
}

fn authorities(path: &Path, pem: &[u8]) -> Result<Arc<RootCertStore>, FileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots
            .add(certificate)
            .map_err(|error| FileError::unusable(path, error))?;
    }
    Ok(Arc::new(roots))
}
