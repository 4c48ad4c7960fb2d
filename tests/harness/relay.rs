//! An address that stays while the server behind it is killed and started again on another port.

use crate::TestServer;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Passes connections on to a server. Without one, a connection is closed as soon as it is made.
#[derive(Debug)]
pub struct Relay {
    url: String,
    /// Locked for the time of a copy.
    target: Arc<Mutex<Option<SocketAddr>>>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// A relay to `server`.
    pub async fn to(server: &TestServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let target = Arc::new(Mutex::new(None));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&target)));
        let relay = Self {
            url,
            target,
            accepting,
        };
        relay.turn_to(server);
        relay
    }

    /// New connections go to `server`.
    pub fn turn_to(&self, server: &TestServer) {
        let address = server.url().trim_start_matches("http://");
        *self.target.lock().unwrap() = Some(address.parse().unwrap());
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: Arc<Mutex<Option<SocketAddr>>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let target = *target.lock().unwrap();
        tokio::spawn(async move {
            if let Some(target) = target
                && let Ok(mut server) = TcpStream::connect(target).await
            {
                // Either side may go at any time: that is what it is for.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
