//! A web server that misbehaves as told: a function from each request to its answer.

#![allow(unreachable_pub, reason = "public in the harness that shares the file")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    /// Of the `Range` header: first and last byte.
    pub range: Option<(usize, usize)>,
    pub if_match: Option<String>,
    /// How many requests came before, on all connections.
    pub before: usize,
}

/// What is sent back. The body is cut or delayed without the head saying so.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// What `Content-Length` says, where it is said.
    length: Option<usize>,
    pause: Duration,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            length: Some(0),
            pause: Duration::ZERO,
        }
    }

    /// The object `body`, or the part of it that was asked for.
    pub fn object(request: &Request, body: &[u8]) -> Self {
        match request.range {
            None => Self::status(200).body(body),
            Some((first, _)) if first >= body.len() => Self::status(416),
            Some((first, last)) => {
                let last = last.min(body.len() - 1);
                let range = format!("bytes {first}-{last}/{}", body.len());
                Self::status(206)
                    .body(&body[first..=last])
                    .header("Content-Range", &range)
            }
        }
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.length = Some(body.len());
        self.body = body.to_vec();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends only so much of the body, then closes the connection.
    pub fn cut(mut self, bytes: usize) -> Self {
        self.body.truncate(bytes);
        self
    }

    /// Announces another length, or none.
    pub fn announce(mut self, length: Option<usize>) -> Self {
        self.length = length;
        self
    }

    /// Waits before the body.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

/// The server, for the rest of the process.
#[derive(Debug, Clone)]
pub struct Web {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Web {
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let web = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let seen = Arc::clone(&web.seen);
        let answer = Arc::new(answer);
        let count = Arc::new(AtomicUsize::new(0));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Head and body go out in two pieces.
                stream.set_nodelay(true).unwrap();
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                let count = Arc::clone(&count);
                thread::spawn(move || {
                    while let Some(request) = read_request(&stream, &count) {
                        seen.lock().unwrap().push(request.clone());
                        if !send(&stream, &request, &answer(&request)) {
                            break;
                        }
                    }
                });
            }
        });
        web
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

fn read_request(stream: &TcpStream, count: &AtomicUsize) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let mut request = Request {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        range: None,
        if_match: None,
        before: count.fetch_add(1, Ordering::SeqCst),
    };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match &*name.to_ascii_lowercase() {
            "range" => {
                let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
                request.range = Some((first.parse().ok()?, last.parse().ok()?));
            }
            "if-match" => request.if_match = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(request)
}

/// Whether the connection can go on.
fn send(mut stream: &TcpStream, request: &Request, reply: &Reply) -> bool {
    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
    if let Some(length) = reply.length {
        head += &format!("Content-Length: {length}\r\n");
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    if stream.write_all(head.as_bytes()).is_err() {
        return false;
    }
    if request.method == "HEAD" {
        return true;
    }
    thread::sleep(reply.pause);
    let whole = reply.length == Some(reply.body.len());
    let sent = stream.write_all(&reply.body).is_ok();
    if !whole {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    sent && whole
}
