//! The loop that takes connections, and their number.

use super::{
    Transport,
    connection::{Connection, Ends},
    reload,
    seats::{Seated, Seats},
    watched::Life,
};
use crate::metrics::CONNECTIONS_OPENED;
use http::{Request, Response};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    convert::Infallible, future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tonic::body::Body;
use tower::Service;

/// Open files that connections leave to the data folder and everything else.
const OTHER_FILES: usize = 256;

/// Pause when the system has no more connections to give.
const PAUSE: Duration = Duration::from_millis(100);

/// As many of `most` connections as the system lets this process have. Asks for all that it may.
pub(super) fn possible(most: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Refusal leaves the limit as it is.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = usize::try_from(files)
        .unwrap_or(usize::MAX)
        .saturating_sub(OTHER_FILES)
        .max(1);
    if room < most {
        tracing::warn!(
            connections = room,
            "the limit of open files leaves fewer connections than grpc.max_connections"
        );
    }
    most.min(room)
}

impl Transport {
    /// Serves until `stop` resolves and all connections have ended after that: open calls finish, new
    /// connections and calls are not taken.
    pub(crate) async fn serve<S>(
        self: Arc<Self>,
        listener: TcpListener,
        service: S,
        stop: impl Future<Output = ()>,
    ) where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let (closing, close) = watch::channel(());
        let transport = Arc::clone(&self);
        let connections = async move {
            let seats = Arc::new(Seats::new(transport.max_connections));
            let mut stop = pin!(stop);
            loop {
                let accepted = tokio::select! {
                    () = &mut stop => break,
                    accepted = listener.accept() => accepted,
                };
                let Some((stream, peer)) = transport.usable(accepted).await else {
                    continue;
                };
                let life = Arc::<Life>::default();
                let Some(seated) = seats.take(peer.ip(), &life) else {
                    transport.refuse(peer);
                    continue;
                };
                let Seated {
                    seat,
                    leave,
                    displaces,
                } = seated;
                if displaces {
                    transport.displace(peer);
                }
                metrics::counter!(CONNECTIONS_OPENED, "outcome" => "accepted").increment(1);
                let connection = Connection::new(Arc::clone(&transport), &stream, peer, life);
                let service = service.clone();
                let ends = Ends::new(close.clone(), leave);
                tokio::spawn(async move {
                    connection.serve(stream, service, ends).await;
                    drop(seat);
                });
            }
            drop((listener, close));
            closing.send_replace(());
            closing.closed().await;
        };
        tokio::select! {
            () = connections => {}
            () = self.look_after() => {}
        }
    }

    /// What must be done now and then.
    async fn look_after(&self) {
        loop {
            tokio::time::sleep(reload::INTERVAL).await;
            self.reloads.refresh().await;
            for note in self.notes.all() {
                note.flush();
            }
        }
    }

    fn displace(&self, peer: SocketAddr) {
        metrics::counter!(CONNECTIONS_OPENED, "outcome" => "displaced").increment(1);
        self.notes.displaced.add(peer);
    }

    fn refuse(&self, peer: SocketAddr) {
        metrics::counter!(CONNECTIONS_OPENED, "outcome" => "refused").increment(1);
        self.notes.refused.add(peer);
    }

    /// A connection to serve, unless it is gone already.
    async fn usable(
        &self,
        accepted: io::Result<(TcpStream, SocketAddr)>,
    ) -> Option<(TcpStream, SocketAddr)> {
        match accepted {
            Ok((stream, peer)) => {
                // Without it a message that ends in a small packet waits for the client's delayed
                // acknowledgement: 40 ms.
                stream.set_nodelay(true).ok()?;
                Some((stream, peer))
            }
            Err(error) => {
                match error.kind() {
                    io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionRefused => {}
                    // Such as no more files: asking again at once would be of no use.
                    _ => {
                        self.notes.unaccepted.add(error);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                None
            }
        }
    }
}
