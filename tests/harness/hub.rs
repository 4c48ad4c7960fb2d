//! A model hub on this machine: metadata and redirects on one port, the files on another.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

/// Serves one file for every repository, until the process ends.
pub struct Hub {
    /// What `HF_ENDPOINT` would be.
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

/// What it serves and how; to be changed at any time.
pub struct State {
    /// The file.
    pub content: Vec<u8>,
    /// What the hub says the file's SHA-256 is; none is a hub without checksums.
    pub sha256: Option<String>,
    /// What it says the size is.
    pub size: u64,
    /// Without it, the hub answers 401.
    pub token: Option<String>,
    /// The hub's answer to everything, if set.
    pub status: Option<u16>,
    /// Statuses for the next requests to the hub.
    pub hiccups: VecDeque<u16>,
    /// What happens to the next downloads.
    pub faults: VecDeque<Fault>,
    /// The repository lies under another name, to which the hub redirects.
    pub renamed: bool,
    /// All requests so far.
    pub seen: Vec<Seen>,
}

/// What goes wrong with one download.
#[derive(Clone, Copy)]
pub enum Fault {
    /// The connection closes after so many bytes.
    Cut(usize),
    /// After so many bytes nothing more comes.
    Stall(usize),
    /// The whole file, whatever was asked for.
    NoRanges,
    /// This status.
    Status(u16),
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whether it went to the port of the files.
    pub storage: bool,
    /// `HEAD` or `GET`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The header, if sent.
    pub authorization: Option<String>,
    /// The header, if sent.
    pub range: Option<String>,
}

/// The commit that the hub names.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

impl Hub {
    /// A hub without faults.
    ///
    /// # Panics
    /// When this machine has no free port.
    #[must_use]
    pub fn start(content: Vec<u8>, sha256: &str) -> Self {
        let state = Arc::new(Mutex::new(State {
            size: content.len() as u64,
            content,
            sha256: Some(sha256.to_owned()),
            token: None,
            status: None,
            hiccups: VecDeque::new(),
            faults: VecDeque::new(),
            renamed: false,
            seen: Vec::new(),
        }));
        let storage = listen(Arc::clone(&state), |state, request, stream| {
            serve_file(state, request, stream);
        });
        let endpoint = listen(Arc::clone(&state), move |mut state, request, stream| {
            let answer = answer(&mut state, request, &storage);
            let _ = stream.write_all(answer.as_bytes());
        });
        Self { endpoint, state }
    }

    /// What it serves and how, and what it was asked.
    ///
    /// # Panics
    /// When a thread of the hub has panicked.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The requests to the port of the files so far.
    #[must_use]
    pub fn downloads(&self) -> Vec<Seen> {
        let seen = self.state().seen.clone();
        seen.into_iter().filter(|seen| seen.storage).collect()
    }
}

/// Answers with `respond` on a free port, a thread for each connection; its address.
fn listen(
    state: Arc<Mutex<State>>,
    respond: impl Fn(MutexGuard<'_, State>, &Seen, &mut TcpStream) + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let respond = Arc::new(respond);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), state, respond) =
                (stream, Arc::clone(&state), Arc::clone(&respond))
            else {
                continue;
            };
            thread::spawn(move || {
                if let Some(request) = read_request(&stream) {
                    let mut state = state.lock().unwrap();
                    state.seen.push(request.clone());
                    respond(state, &request, &mut stream);
                }
            });
        }
    });
    address
}

fn read_request(stream: &TcpStream) -> Option<Seen> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut seen = Seen {
        storage: path.starts_with("/blob/"),
        method,
        path,
        authorization: None,
        range: None,
    };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else {
            return Some(seen);
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => seen.authorization = Some(value.trim().to_owned()),
            "range" => seen.range = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    None
}

fn answer(state: &mut State, request: &Seen, storage: &str) -> String {
    if let Some(status) = state.hiccups.pop_front().or(state.status) {
        return empty(status, "");
    }
    let token = state.token.as_ref().map(|token| format!("Bearer {token}"));
    if token.is_some() && request.authorization != token {
        return empty(401, "");
    }
    if state.renamed && !request.path.starts_with("/renamed/") {
        return empty(307, &format!("Location: /renamed{}\r\n", request.path));
    }
    let etag = state.sha256.as_ref();
    let etag = etag.map_or_else(String::new, |etag| format!("X-Linked-Etag: \"{etag}\"\r\n"));
    empty(
        302,
        &format!(
            "{etag}ETag: \"of-the-redirect\"\r\nX-Linked-Size: {}\r\nX-Repo-Commit: {COMMIT}\r\n\
             Location: {storage}/blob/file?signature=1\r\n",
            state.size
        ),
    )
}

fn empty(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} Status\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n")
}

fn serve_file(mut state: MutexGuard<'_, State>, request: &Seen, stream: &mut TcpStream) {
    let fault = state.faults.pop_front();
    let content = state.content.clone();
    drop(state);
    if let Some(Fault::Status(status)) = fault {
        let _ = stream.write_all(empty(status, "").as_bytes());
        return;
    }
    let from = request
        .range
        .as_ref()
        .filter(|_| !matches!(fault, Some(Fault::NoRanges)));
    let from = from.map(|range| {
        let start = range.trim_start_matches("bytes=").trim_end_matches('-');
        start.parse::<usize>().unwrap().min(content.len())
    });
    let rest = &content[from.unwrap_or(0)..];
    let (status, range) = match from {
        Some(from) => {
            let (end, all) = (content.len() - 1, content.len());
            (206, format!("Content-Range: bytes {from}-{end}/{all}\r\n"))
        }
        None => (200, String::new()),
    };
    let head = format!(
        "HTTP/1.1 {status} Status\r\n{range}Content-Length: {}\r\nConnection: close\r\n\r\n",
        rest.len()
    );
    let sent = match fault {
        Some(Fault::Cut(bytes) | Fault::Stall(bytes)) => &rest[..bytes.min(rest.len())],
        _ => rest,
    };
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(sent));
    if matches!(fault, Some(Fault::Stall(_))) {
        // Until the client has enough of it.
        let _ = stream.read(&mut [0]);
    }
}
