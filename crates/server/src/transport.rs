//! From the listener to the first layer: TLS, the limits of connections, and their end.
//!
//! | module | holds |
//! |---|---|
//! | `accept` | the loop that takes connections |
//! | `connection` | one connection, from its handshake to its end |
//! | `greeting` | connections that have not said anything yet: bounded in number and time |
//! | `seats` | the connections that there are, and which goes for a new one |
//! | `watched` | bytes on their way: whether a client has begun to speak, and whether it still reads |
//! | `stall` | calls whose client does not take the answer |
//! | `tls` | certificates and keys |
//! | `expiry` | until when certificates are good |
//! | `reload` | files that are read again when they change |
//! | `notes` | lines of the log that a flood of clients must not multiply |
//!
//! tonic's own server is not used: with a grace time it cuts connections of age without telling the client
//! first, it gives all of them the same age, and it takes a handshake for as long as the client likes.

mod accept;
mod connection;
mod expiry;
pub(crate) mod greeting;
mod notes;
pub(crate) mod reload;
mod seats;
mod stall;
mod tls;
mod watched;

use crate::config::{Config, TlsFiles};
use connection::Limits;
use greeting::Greetings;
use notes::Note;
use reload::{FileError, Reloads};
use std::{net::SocketAddr, sync::Arc};
use tls::{Certificates, Tls};
use watched::Life;

/// Connections that have not finished their handshake; beyond, the oldest is given up for a new one.
const MAX_GREETINGS: usize = 1_024;

/// Who is at the other end, as an extension of each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// A request's connection, as its extension.
#[derive(Clone)]
pub(crate) struct Standing(Arc<Life>);

impl Standing {
    /// Its client has shown that it may call something.
    pub(crate) fn admit(&self) {
        self.0.admit();
    }
}

/// Takes connections and serves calls on them.
pub(crate) struct Transport {
    limits: Limits,
    max_connections: usize,
    certificates: Option<Arc<Certificates>>,
    greetings: Arc<Greetings>,
    notes: Arc<Notes>,
    reloads: Reloads,
}

/// What is worth a line, however many clients cause it.
struct Notes {
    /// Connections beyond the limit.
    refused: Note,
    /// Connections that others have gone for.
    displaced: Note,
    /// Connections that ended before their first request.
    failed: Note,
    /// Clients that do not read what they asked for.
    stalled: Note,
    /// Connections that the system did not hand over.
    unaccepted: Note,
}

impl Transport {
    /// Reads the certificates, if there are any.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(crate) fn open(config: &Config, mut reloads: Reloads) -> Result<Self, FileError> {
        let grpc = &config.grpc;
        let certificates = config.tls.files().ok().flatten();
        let certificates = certificates.map(|files| open_tls(&files, &mut reloads));
        let max_connections = accept::possible(grpc.max_connections);
        Ok(Self {
            limits: Limits::new(grpc),
            max_connections,
            certificates: certificates.transpose()?,
            greetings: Arc::new(Greetings::new(MAX_GREETINGS)),
            notes: Arc::new(Notes::new(max_connections, grpc.write_stall_seconds)),
            reloads,
        })
    }

    fn tls(&self) -> Option<Arc<Tls>> {
        self.certificates.as_ref().map(|files| files.current())
    }
}

fn open_tls(files: &TlsFiles, reloads: &mut Reloads) -> Result<Arc<Certificates>, FileError> {
    let certificates = Arc::new(tls::open(files)?);
    reloads.add(&certificates);
    Ok(certificates)
}

impl Notes {
    fn new(max_connections: usize, write_stall_seconds: u64) -> Self {
        Self {
            refused: Note::new(format!(
                "more than {max_connections} connections at work, new ones are closed"
            )),
            displaced: Note::new(format!(
                "more than {max_connections} connections, or half of them from one address: \
                 idle ones are closed for new ones"
            )),
            failed: Note::new("connections failed before their first request".to_owned()),
            stalled: Note::new(format!(
                "clients did not read for {write_stall_seconds} s and were cut off"
            )),
            unaccepted: Note::new("cannot accept connections".to_owned()),
        }
    }

    fn all(&self) -> [&Note; 5] {
        let Self {
            refused,
            displaced,
            failed,
            stalled,
            unaccepted,
        } = self;
        [refused, displaced, failed, stalled, unaccepted]
    }
}
