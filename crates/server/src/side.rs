//! The HTTP side port: probes, metrics and the version, for whoever operates the server.
//!
//! It asks for no key and is meant for the inside of a cluster. What it can cost is bounded: a number
//! of connections, each for one request, of so many bytes and for so long.

mod routes;

use crate::lifecycle::Lifecycle;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use metrics_exporter_prometheus::PrometheusHandle;
pub(crate) use routes::{GIT_COMMIT, RUST_VERSION, VERSION};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task::{JoinHandle, JoinSet},
};

/// Connections at once; more are closed as they come.
const CONNECTIONS: usize = 128;

/// Bytes of a request's line and headers; more are answered 431.
const HEADER_BYTES: usize = 8 << 10;

/// Headers of a request.
const HEADERS: usize = 64;

/// Until the headers must have come.
const HEADER_TIME: Duration = Duration::from_secs(5);

/// Until a connection is cut, whatever it does.
const CONNECTION_TIME: Duration = Duration::from_secs(10);

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

async fn serve(listener: TcpListener, router: Router, mut ended: oneshot::Receiver<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = &mut ended => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match (accepted, Arc::clone(&places).try_acquire_owned()) {
            (Ok((stream, _)), Ok(place)) => {
                connections.spawn(answer(stream, router.clone(), place));
            }
            (Ok(_), Err(_)) => {}
            (Err(_), _) => tokio::time::sleep(REST).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn answer(stream: TcpStream, router: Router, _place: OwnedSemaphorePermit) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_header_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // What a client does wrong on its own connection concerns nobody else.
    let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
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

    #[tokio::test]
    async fn connections_beyond_the_bound_are_closed_and_a_silent_one_gives_way() {
        let (_side, _lifecycle, addr) = side().await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            silent.push(TcpStream::connect(addr).await.unwrap());
        }
        assert_eq!(
            ask(addr, "GET /livez HTTP/1.1\r\nHost: side\r\n\r\n").await,
            ""
        );
        silent.pop();
        // The place is free once the server has seen the end of that connection.
        while ask(addr, "GET /livez HTTP/1.1\r\nHost: side\r\n\r\n")
            .await
            .is_empty()
        {
            tokio::task::yield_now().await;
        }
        let mut last = silent.pop().unwrap();
        let mut rest = Vec::new();
        let cut = tokio::time::timeout(HEADER_TIME * 2, last.read_to_end(&mut rest));
        cut.await.expect("a silent connection is kept").unwrap();
    }
}
