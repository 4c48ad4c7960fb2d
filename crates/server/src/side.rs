//! The HTTP side port: probes, metrics and the version, for whoever operates the server.
//!
//! It asks for no key and is meant for the inside of a cluster. What it can cost is bounded: a number
//! of connections, each for one request, of so many bytes and for so long.

mod routes;

use crate::{lifecycle::Lifecycle, transport::greeting::Greetings};
use axum::Router;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::PrometheusHandle;
pub(crate) use routes::{GIT_COMMIT, RUST_VERSION, VERSION};
use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
    task::{JoinHandle, JoinSet},
};
use tower::ServiceExt;

/// Connections whose request has not come; the oldest goes for a new one, so that probes are answered whoever
/// else connects.
const SILENT: usize = 96;

/// Connections whose answer is on its way; the same.
const ANSWERED: usize = 32;

/// Bytes of a request's line and headers; more are answered 431.
const HEADER_BYTES: usize = 8 << 10;

/// Headers of a request.
const HEADERS: usize = 64;

/// Until the headers must have come.
const HEADER_TIME: Duration = Duration::from_secs(2);

/// Until the answer must have been read.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// After a connection could not be accepted, as when the process has no file descriptors left.
const REST: Duration = Duration::from_millis(100);

/// Time that open requests get once the server has ended.
const DRAIN: Duration = Duration::from_secs(1);

/// The port at work: it answers until calls and job have ended.
pub(crate) struct Side {
    ended: oneshot::Sender<()>,
    serving: Option<JoinHandle<()>>,
}

impl Side {
    /// Serves on `listener`, if there is one.
    pub(crate) fn start(
        listener: Option<TcpListener>,
        metrics: PrometheusHandle,
        lifecycle: Lifecycle,
    ) -> Self {
        let (ended, end) = oneshot::channel();
        let serving = listener.map(|listener| {
            let router = routes::router(metrics, lifecycle);
            tokio::spawn(serve(listener, router, end))
        });
        Self { ended, serving }
    }

    pub(crate) async fn end(self) {
        drop(self.ended);
        if let Some(serving) = self.serving {
            // A client that neither asks nor leaves is cut off.
            let _ = tokio::time::timeout(DRAIN, serving).await;
        }
    }
}

/// All connections, by what they wait for.
#[derive(Clone)]
struct Connections {
    silent: Arc<Greetings>,
    answered: Arc<Greetings>,
}

async fn serve(listener: TcpListener, router: Router, mut ended: oneshot::Receiver<()>) {
    let bounds = Connections {
        silent: Arc::new(Greetings::new(SILENT)),
        answered: Arc::new(Greetings::new(ANSWERED)),
    };
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = &mut ended => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(bounds.clone().answer(stream, router.clone()));
            }
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

impl Connections {
    /// Answers one request. What a client does wrong on its own connection concerns nobody else.
    async fn answer(self, stream: TcpStream, router: Router) {
        let (mut silence, ticket) = self.silent.begin(HEADER_TIME);
        let ticket = Mutex::new(Some(ticket));
        let asked = Arc::new(Notify::new());
        let asks = Arc::clone(&asked);
        let service = service_fn(move |request: Request<Incoming>| {
            drop(ticket.lock().unwrap_or_else(PoisonError::into_inner).take());
            asks.notify_one();
            router.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .max_header_size(HEADER_BYTES)
            .max_headers(HEADERS)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            _ = &mut connection => return,
            _ = silence.failed() => return,
            () = asked.notified() => {}
        }
        let (mut patience, _ticket) = self.answered.begin(ANSWER_TIME);
        tokio::select! {
            _ = &mut connection => {}
            _ = patience.failed() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{ModelPhase, Phase};
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn side() -> (Side, Lifecycle, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let lifecycle = Lifecycle::new();
        let metrics = crate::metrics::install().unwrap();
        let side = Side::start(Some(listener), metrics, lifecycle.clone());
        (side, lifecycle, addr)
    }

    /// Everything that comes back; nothing from a connection that was closed.
    async fn ask(addr: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn get(addr: SocketAddr, path: &str) -> (String, String) {
        let answer = ask(addr, &format!("GET {path} HTTP/1.1\r\nHost: side\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        (status.to_owned(), body.trim_end().to_owned())
    }

    #[tokio::test]
    async fn probes_follow_the_lifecycle() {
        let (side, lifecycle, addr) = side().await;
        let probes = async || {
            let mut codes = Vec::new();
            for path in ["/livez", "/startupz", "/readyz"] {
                codes.push(get(addr, path).await.0);
            }
            codes
        };
        assert_eq!(probes().await, ["200", "503", "503"]);
        assert!(get(addr, "/readyz").await.1.contains("starting"));
        lifecycle.enter(Phase::Copying);
        assert_eq!(probes().await, ["200", "503", "503"]);
        let copying = "starting: copying what is published";
        assert_eq!(get(addr, "/startupz").await.1, copying);
        assert_eq!(get(addr, "/readyz").await.1, copying);
        lifecycle.enter(Phase::Serving);
        assert_eq!(probes().await, ["200", "200", "200"]);
        lifecycle.set_model(ModelPhase::Missing);
        assert_eq!(probes().await, ["200", "200", "200"]);
        assert!(get(addr, "/readyz").await.1.contains("no model"));
        lifecycle.set_model(ModelPhase::Unneeded);
        let ready = ("200".to_owned(), "ok, read-only".to_owned());
        assert_eq!(get(addr, "/readyz").await, ready);
        lifecycle.enter(Phase::Draining);
        assert_eq!(probes().await, ["200", "200", "503"]);
        assert!(get(addr, "/readyz").await.1.contains("draining"));
        side.end().await;
    }

    #[tokio::test]
    async fn other_paths_and_methods_and_large_headers_are_refused() {
        let (_side, _lifecycle, addr) = side().await;
        assert_eq!(get(addr, "/").await.0, "404");
        assert_eq!(get(addr, "/metrics/../livez").await.0, "404");
        let posted = ask(addr, "POST /livez HTTP/1.1\r\nHost: side\r\n\r\n").await;
        assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
        let long = "x".repeat(HEADER_BYTES);
        let long = ask(addr, &format!("GET /livez HTTP/1.1\r\nA: {long}\r\n\r\n")).await;
        assert!(long.starts_with("HTTP/1.1 431 "), "{long}");
        let many = "A: b\r\n".repeat(HEADERS + 1);
        let many = ask(addr, &format!("GET /livez HTTP/1.1\r\n{many}\r\n")).await;
        assert!(many.starts_with("HTTP/1.1 431 "), "{many}");
    }

    /// Whatever others do on this port: nothing, half a request, or one whose answer they do not read.
    #[tokio::test]
    async fn probes_are_answered_whoever_else_connects() {
        let (_side, _lifecycle, addr) = side().await;
        let mut others = Vec::new();
        for begun in [
            "",
            "GET /livez HTTP/1.1\r\nHost: ",
            "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            for _ in 0..2 * SILENT {
                let mut other = TcpStream::connect(addr).await.unwrap();
                other.write_all(begun.as_bytes()).await.unwrap();
                others.push(other);
            }
            for _ in 0..40 {
                assert_eq!(get(addr, "/livez").await.0, "200", "beside `{begun}`");
            }
        }
        let mut silent = TcpStream::connect(addr).await.unwrap();
        let mut rest = Vec::new();
        let cut = tokio::time::timeout(HEADER_TIME * 2, silent.read_to_end(&mut rest));
        cut.await.expect("a silent connection is kept").unwrap();
    }
}
