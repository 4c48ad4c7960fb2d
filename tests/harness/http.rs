//! GET on a server's side port.

use crate::PATIENCE;
use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As in 200.
    pub status: u16,
    /// Lines of the head after the first.
    pub headers: String,
    /// What follows the head.
    pub body: String,
}

/// Asks once, on a connection of its own.
///
/// # Panics
/// When there is no answer.
#[must_use]
pub fn get(url: &str) -> Answer {
    let (address, path) = parts(url);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap();
    Answer {
        status: status.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: headers.to_owned(),
        body: body.to_owned(),
    }
}

/// Address and path of a URL.
///
/// # Panics
/// When it is not `http://ADDRESS/PATH`.
#[must_use]
pub fn parts(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap();
    rest.split_at(rest.find('/').unwrap())
}
