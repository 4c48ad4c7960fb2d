//! One connection, from its handshake to its end.

use super::{
    Peer, Standing, Transport,
    greeting::{Greeting, Ticket},
    stall::{Answer, Calls},
    tls::Identity,
    watched::{Life, Watched},
};
use crate::{config::Grpc, metrics::CONNECTIONS_OPENED};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    collections::hash_map::RandomState,
    convert::Infallible,
    error::Error,
    fmt::Display,
    future::pending,
    hash::{BuildHasher, Hasher},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{oneshot, watch},
    time::{Instant, sleep},
};
use tokio_rustls::TlsAcceptor;
use tonic::{body::Body, transport::server::TcpConnectInfo};
use tower::{Service, ServiceExt};

/// A client whose machine died in the middle of a push says nothing more: it is asked for a sign of life
/// after so long, and is gone if it gives none for as long again.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// Bytes of an answer that HTTP/2 takes before it can send them, beside the piece that it holds.
const SEND_BUFFER: usize = 64 << 10;

/// Longer than any machine is up, where there is no limit.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// For the calls of a connection that goes for another: it has none, or some that watch without a key.
const DISPLACED: Duration = Duration::from_secs(1);

/// How often a client's certificate is looked at again: it may have expired, or its authority may be trusted no
/// more.
const RECHECK: Duration = Duration::from_secs(10);

/// What a connection may do.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    handshake: Duration,
    write_stall: Duration,
    age: Duration,
    grace: Duration,
    streams: u32,
    header_bytes: u32,
}

impl Limits {
    pub(super) fn new(grpc: &Grpc) -> Self {
        let age = Some(grpc.max_connection_age_seconds).filter(|seconds| *seconds > 0);
        Self {
            handshake: Duration::from_secs(grpc.handshake_seconds),
            write_stall: Duration::from_secs(grpc.write_stall_seconds),
            age: age.map_or(NEVER, Duration::from_secs),
            grace: Duration::from_secs(grpc.max_connection_age_grace_seconds),
            streams: grpc.max_streams_per_connection,
            header_bytes: grpc.max_header_bytes,
        }
    }

    fn http(&self, calls: Calls) -> http2::Builder<Calls> {
        let mut http = http2::Builder::new(calls);
        http.timer(TokioTimer::new())
            .keep_alive_interval(SIGN_OF_LIFE)
            .keep_alive_timeout(SIGN_OF_LIFE)
            .max_concurrent_streams(self.streams)
            .max_header_list_size(self.header_bytes)
            .max_send_buf_size(SEND_BUFFER);
        http
    }

    /// This connection's age, up to a tenth more or less: those that came together must not go together.
    fn some_age(&self) -> Duration {
        let random = RandomState::new().build_hasher().finish();
        self.age
            .mul_f64(0.9 + 0.2 * (random as f64 / u64::MAX as f64))
    }
}

/// Why a connection ends though its client would stay.
enum End {
    /// The server stops.
    Stopping,
    /// Another connection needs its place.
    Displaced,
    /// It does, and at once.
    Cut,
}

/// What may end a connection from outside.
pub(super) struct Ends {
    /// Held to the connection's end, which the server waits for.
    close: watch::Receiver<()>,
    stopping: bool,
    leave: Option<oneshot::Receiver<()>>,
}

impl Ends {
    pub(super) fn new(close: watch::Receiver<()>, leave: oneshot::Receiver<()>) -> Self {
        Self {
            close,
            stopping: false,
            leave: Some(leave),
        }
    }

    /// Each comes once.
    async fn next(&mut self) -> End {
        let leave = &mut self.leave;
        let leaving = async {
            match leave {
                Some(leave) => leave.await.map_or(End::Cut, |()| End::Displaced),
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.close.changed(), if !self.stopping => {
                self.stopping = true;
                End::Stopping
            }
            end = leaving => {
                self.leave = None;
                end
            }
        }
    }
}

/// One client's connection.
pub(super) struct Connection {
    transport: Arc<Transport>,
    peer: SocketAddr,
    local: Option<SocketAddr>,
    life: Arc<Life>,
}

impl Connection {
    pub(super) fn new(
        transport: Arc<Transport>,
        stream: &TcpStream,
        peer: SocketAddr,
        life: Arc<Life>,
    ) -> Self {
        Self {
            transport,
            peer,
            local: stream.local_addr().ok(),
            life,
        }
    }

    /// Serves it to its end, which `ends` hurries: open calls finish.
    pub(super) async fn serve<S>(self, stream: TcpStream, service: S, mut ends: Ends)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let greetings = &self.transport.greetings;
        let (mut greeting, ticket) = greetings.begin(self.transport.limits.handshake);
        let Some(tls) = self.transport.tls() else {
            let io = self.watched(stream, ticket);
            return self.calls(io, greeting, service, ends, None).await;
        };
        let accepted = tokio::select! {
            accepted = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream) => accepted,
            reason = greeting.failed() => Err(io::Error::other(reason.to_string())),
            _ = ends.next() => return,
        };
        match accepted {
            Ok(stream) => {
                let client = stream.get_ref().1.peer_certificates().map(<[_]>::to_vec);
                let io = self.watched(Box::new(stream), ticket);
                self.calls(io, greeting, service, ends, client).await;
            }
            // A probe of whether the port is open.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => self.failed(format_args!("TLS: {error}")),
        }
    }

    fn watched<IO>(&self, io: IO, ticket: Ticket) -> Watched<IO> {
        Watched::new(
            io,
            Arc::clone(&self.life),
            ticket,
            self.transport.limits.write_stall,
            Arc::clone(&self.transport.notes),
            self.peer,
        )
    }

    /// Serves calls until the client leaves, or must.
    async fn calls<IO, S>(
        self,
        io: Watched<IO>,
        mut greeting: Greeting,
        service: S,
        mut ends: Ends,
        client: Option<Identity>,
    ) where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let limits = self.transport.limits;
        let notes = Arc::clone(&self.transport.notes);
        let http = limits.http(Calls {
            limit: limits.write_stall,
            notes,
            peer: self.peer,
            life: Arc::clone(&self.life),
        });
        let this = Arc::new(self);
        let connection = Arc::clone(&this);
        let service = service_fn(move |request: Request<Incoming>| {
            connection.life.asks();
            let call = service.clone().oneshot(connection.request(request));
            async move { call.await.map(|answer| answer.map(Answer::new)) }
        });
        let mut serving = pin!(http.serve_connection(TokioIo::new(io), service));
        let mut end = pin!(sleep(limits.some_age()));
        let mut untrusted = pin!(this.untrusted(client));
        let mut leaving = false;
        loop {
            // How long open calls may take, once the connection must go.
            let grace = tokio::select! {
                served = &mut serving => return this.served(served),
                reason = greeting.failed() => return this.failed(reason),
                () = &mut end => match leaving {
                    true => return,
                    false => limits.grace,
                },
                () = &mut untrusted, if !leaving => limits.grace,
                why = ends.next() => match why {
                    End::Cut => return,
                    End::Displaced | End::Stopping if !this.life.has_spoken() => return,
                    End::Displaced => DISPLACED,
                    End::Stopping if leaving => continue,
                    End::Stopping => NEVER,
                },
            };
            if !std::mem::replace(&mut leaving, true) {
                serving.as_mut().graceful_shutdown();
            }
            end.as_mut().reset(Instant::now() + grace);
        }
    }

    /// Resolves once the client's certificate is not good any more.
    async fn untrusted(&self, client: Option<Identity>) {
        let Some(client) = client else {
            return pending().await;
        };
        loop {
            sleep(RECHECK).await;
            let tls = self.transport.tls();
            if tls.is_some_and(|tls| !tls.still_trusts(&client)) {
                return;
            }
        }
    }

    fn served(&self, outcome: hyper::Result<()>) {
        match outcome {
            Err(error) if self.life.has_spoken() && !self.life.has_asked() => {
                self.failed(chain(&error));
            }
            Err(error) => {
                tracing::debug!(peer = %self.peer, error = %chain(&error), "connection lost");
            }
            Ok(()) => {}
        }
    }

    fn request(&self, request: Request<Incoming>) -> Request<Body> {
        let mut request = request.map(Body::new);
        let extensions = request.extensions_mut();
        extensions.insert(Peer(self.peer));
        extensions.insert(Standing(Arc::clone(&self.life)));
        // Where tonic looks for it.
        extensions.insert(TcpConnectInfo {
            local_addr: self.local,
            remote_addr: Some(self.peer),
        });
        request
    }

    fn failed(&self, reason: impl Display) {
        metrics::counter!(CONNECTIONS_OPENED, "outcome" => "failed").increment(1);
        let last = format_args!("{}: {reason}", self.peer);
        self.transport.notes.failed.add(last);
    }
}

/// An error and its causes in a line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
