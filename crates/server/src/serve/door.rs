//! What stands between the port and the services: certificates, keys, limits.

use super::ServeError;
use crate::{
    access::keys::Keys,
    config::Config,
    layers,
    transport::{
        Transport,
        reload::{FileError, Reloads},
    },
};
use http::{Request, Response};
use std::{convert::Infallible, future::Future, sync::Arc};
use tokio::net::TcpListener;
use tonic::{body::Body, service::Routes};
use tower::Service;

pub(super) struct Door {
    transport: Transport,
    layers: layers::Stack,
}

impl Door {
    /// Reads certificates and keys, if there are any. Blocks.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(super) fn open(config: &Config) -> Result<Self, ServeError> {
        Self::read(config).map_err(|error| ServeError::File {
            setting: config.setting_of(error.path()),
            error,
        })
    }

    fn read(config: &Config) -> Result<Self, FileError> {
        let mut reloads = Reloads::default();
        let keys = Keys::open(&config.auth, &mut reloads)?.map(Arc::new);
        if config.exposes_keys() {
            tracing::warn!("keys travel in plain text: set tls.cert_file, or listen on loopback");
        }
        Ok(Self {
            transport: Transport::open(config, reloads)?,
            layers: layers::stack(&config.grpc, keys),
        })
    }

    /// Answers calls until `closed`, and then those that are open.
    pub(super) fn serve<S>(
        self,
        listener: TcpListener,
        service: S,
        closed: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let service = self.layers.service(service);
        Arc::new(self.transport).serve(listener, service, closed)
    }
}

/// Serves `routes` on a port that is open already, with the settings' keys, certificates and limits around
/// them and nothing else, for as long as what it returns is polled: to measure what those cost.
///
/// # Errors
/// When a file cannot be used.
pub fn serve_only(
    config: &Config,
    listener: TcpListener,
    routes: Routes,
) -> Result<impl Future<Output = ()> + Send + 'static, ServeError> {
    let door = Door::open(config)?;
    Ok(door.serve(listener, routes.prepare(), std::future::pending()))
}
