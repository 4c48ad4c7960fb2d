//! The gRPC port: where it listens, and what one client, or all of them, may take of the server.

use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};

/// The gRPC port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grpc {
    /// Address to listen on; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Requests at work at the same time, each from its first message until its answer has been sent, and half
    /// of them of one client at most; as many more may wait.
    pub max_concurrent_requests: usize,
    /// Milliseconds that a request waits for others to finish, before it is answered
    /// `RESOURCE_EXHAUSTED`; 0: no time.
    pub queue_milliseconds: u64,
    /// Seconds until an unanswered request ends with `DEADLINE_EXCEEDED`.
    pub request_timeout_seconds: u64,
    /// Seconds after SIGTERM for which the server serves on, not ready any more: so long may it take
    /// until whoever sends calls here has heard of it.
    pub drain_delay_seconds: u64,
    /// Seconds that open calls get to finish after that.
    pub drain_seconds: u64,
    /// Connections; idle ones go for new ones beyond, which are closed at once where none is idle.
    pub max_connections: usize,
    /// Calls that one connection may have open at the same time; a client makes more wait.
    pub max_streams_per_connection: u32,
    /// Bytes of a request's headers, names and values and 32 for each.
    pub max_header_bytes: u32,
    /// Seconds that a new connection gets for the TLS handshake and its first frame.
    pub handshake_seconds: u64,
    /// Seconds that a client may leave what was sent to it unread: then the call ends, or the connection
    /// when nothing at all is read from it.
    pub write_stall_seconds: u64,
    /// Seconds after which a connection takes no new calls and its client makes another, a tenth more or
    /// less by chance, so that clients spread over new replicas; 0: never.
    pub max_connection_age_seconds: u64,
    /// Seconds that open calls of such a connection get to finish.
    pub max_connection_age_grace_seconds: u64,
    /// Whether the services describe themselves. Not set: only where nobody needs a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reflection: Option<bool>,
}

impl Grpc {
    /// Each setting of a bounded range: its key, its value, the least and the most it may be.
    pub(super) fn limits(&self) -> [(&'static str, u64, u64, u64); 12] {
        const DAY: u64 = 86_400;
        [
            (
                "grpc.max_concurrent_requests",
                self.max_concurrent_requests as u64,
                1,
                1_000_000,
            ),
            (
                "grpc.queue_milliseconds",
                self.queue_milliseconds,
                0,
                60_000,
            ),
            (
                "grpc.request_timeout_seconds",
                self.request_timeout_seconds,
                1,
                DAY,
            ),
            ("grpc.drain_delay_seconds", self.drain_delay_seconds, 0, DAY),
            ("grpc.drain_seconds", self.drain_seconds, 0, DAY),
            (
                "grpc.max_connections",
                self.max_connections as u64,
                1,
                1_000_000,
            ),
            (
                "grpc.max_streams_per_connection",
                self.max_streams_per_connection.into(),
                1,
                100_000,
            ),
            (
                "grpc.max_header_bytes",
                self.max_header_bytes.into(),
                1_024,
                1 << 24,
            ),
            ("grpc.handshake_seconds", self.handshake_seconds, 1, 3_600),
            ("grpc.write_stall_seconds", self.write_stall_seconds, 1, DAY),
            (
                "grpc.max_connection_age_seconds",
                self.max_connection_age_seconds,
                0,
                365 * DAY,
            ),
            (
                "grpc.max_connection_age_grace_seconds",
                self.max_connection_age_grace_seconds,
                0,
                365 * DAY,
            ),
        ]
    }
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            max_concurrent_requests: 4096,
            queue_milliseconds: 20,
            request_timeout_seconds: 60,
            drain_delay_seconds: 3,
            drain_seconds: 25,
            max_connections: 10_240,
            max_streams_per_connection: 256,
            max_header_bytes: 16 << 10,
            handshake_seconds: 10,
            write_stall_seconds: 30,
            max_connection_age_seconds: 3_600,
            max_connection_age_grace_seconds: 600,
            reflection: None,
        }
    }
}
