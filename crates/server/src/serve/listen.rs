//! The ports.

use super::ServeError;
use crate::config::{Config, HttpAddr};
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted: a thousand trainers may start in the same moment, and the system
/// resets those beyond. It has its own limit, `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// The ports of a server.
#[derive(Debug)]
pub struct Listeners {
    /// For the services.
    pub grpc: TcpListener,
    /// For probes and metrics, unless it is switched off.
    pub http: Option<TcpListener>,
}

impl Listeners {
    /// Listens on the configured addresses. Needs tokio's context.
    ///
    /// # Errors
    /// When an address is taken or not ours.
    pub fn bind(config: &Config) -> Result<Self, ServeError> {
        let grpc = listen(config.grpc.addr)?;
        let http = match config.http.addr {
            HttpAddr::At(addr) => Some(listen(addr)?),
            HttpAddr::Off => None,
        };
        Ok(Self { grpc, http })
    }
}

fn listen(addr: SocketAddr) -> Result<TcpListener, ServeError> {
    let open = || {
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|source| ServeError::Listen { addr, source })
}
