//! A client of HTTP/2 that does as it is told, by the frame: what no library would send.

use crate::PATIENCE;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddrV4, TcpStream},
    os::fd::AsRawFd,
};

/// Types of frames.
#[expect(missing_docs, reason = "named as in RFC 9113")]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
#[expect(missing_docs, reason = "named as in RFC 9113")]
pub mod flag {
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Number of the setting of a new stream's window.
const INITIAL_WINDOW_SIZE: u16 = 4;

/// The largest window.
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// A connection.
#[derive(Debug)]
pub struct Frames(TcpStream);

impl Frames {
    /// Connects, and says nothing yet.
    #[must_use]
    pub fn connect(url: &str) -> Self {
        let address = url.split_once("://").unwrap().1;
        Self::over(TcpStream::connect(address).unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Connects and greets as clients do.
    #[must_use]
    pub fn greet(url: &str) -> Self {
        let mut frames = Self::connect(url);
        frames.say_hello();
        frames
    }

    /// As [`greet`](Self::greet), from another of this machine's own addresses.
    #[must_use]
    pub fn greet_from(address: &str, url: &str) -> Self {
        let from: SocketAddrV4 = format!("{address}:0").parse().unwrap();
        let to: SocketAddrV4 = url.split_once("://").unwrap().1.parse().unwrap();
        let (family, kind) = (AddressFamily::Inet, SockType::Stream);
        let socket = socket::socket(family, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
        socket::bind(socket.as_raw_fd(), &SockaddrIn::from(from)).unwrap();
        socket::connect(socket.as_raw_fd(), &SockaddrIn::from(to)).unwrap();
        let mut frames = Self::over(socket.into());
        frames.say_hello();
        frames
    }

    fn say_hello(&mut self) {
        self.send(PREFACE).unwrap();
        self.frame(kind::SETTINGS, 0, 0, &[]).unwrap();
    }

    /// As [`greet`](Self::greet), promising to read whatever comes.
    #[must_use]
    pub fn greet_with_wide_windows(url: &str) -> Self {
        let mut frames = Self::connect(url);
        frames.send(PREFACE).unwrap();
        let mut setting = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        setting.extend(MAX_WINDOW.to_be_bytes());
        frames.frame(kind::SETTINGS, 0, 0, &setting).unwrap();
        let more = MAX_WINDOW - 65_535;
        let update = more.to_be_bytes();
        frames.frame(kind::WINDOW_UPDATE, 0, 0, &update).unwrap();
        frames
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> std::io::Result<()> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.send(&bytes)
    }

    /// Makes a call, `stream` an odd number above those before.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn call(&mut self, stream: u32, path: &str, message: &[u8]) -> std::io::Result<()> {
        self.headers(stream, path)?;
        let mut data = vec![0];
        data.extend((message.len() as u32).to_be_bytes());
        data.extend(message);
        self.frame(kind::DATA, flag::END_STREAM, stream, &data)
    }

    /// Begins a call with a message of `length` bytes, none of which it sends.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn announce(&mut self, stream: u32, path: &str, length: u32) -> std::io::Result<()> {
        self.headers(stream, path)?;
        let mut data = vec![0];
        data.extend(length.to_be_bytes());
        self.frame(kind::DATA, 0, stream, &data)
    }

    /// Begins a call and sends nothing of its message.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn headers(&mut self, stream: u32, path: &str) -> std::io::Result<()> {
        let headers: Vec<u8> = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "tests"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ]
        .into_iter()
        .flat_map(|(name, value)| header(name, value))
        .collect();
        self.frame(kind::HEADERS, flag::END_HEADERS, stream, &headers)
    }

    /// Reads until the server closes the connection; how many bytes came.
    ///
    /// # Panics
    /// When it does not, for [`PATIENCE`].
    pub fn read_to_end(&mut self) -> usize {
        let (mut count, mut buffer) = (0, [0; 1 << 14]);
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return count,
                Ok(more) => count += more,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return count,
                Err(error) => panic!("the connection stays open: {error}"),
            }
        }
    }
}

/// A header as HPACK has it without any table: both texts below 127 bytes, as they are.
#[must_use]
pub fn header(name: &str, value: &str) -> Vec<u8> {
    assert!(name.len() < 127 && value.len() < 127);
    let mut bytes = vec![0, name.len() as u8];
    bytes.extend(name.bytes());
    bytes.push(value.len() as u8);
    bytes.extend(value.bytes());
    bytes
}
