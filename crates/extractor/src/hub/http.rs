//! Questions to the hub.

use std::fmt::Display;

use ureq::http::header::{ACCEPT_ENCODING, AUTHORIZATION, LOCATION, RANGE};
use ureq::http::{HeaderMap, Method, Request, Response, Uri};
use ureq::{Agent, Body, Error};

use super::patience::{Failure, Patience};
use super::{HubError, HubOptions, Pin, Progress};
use crate::model::Registered;

const MAX_REDIRECTS: usize = 5;

/// An HTTP client that knows which host may see the token.
pub(super) struct Client {
    agent: Agent,
    /// Without a slash at its end.
    endpoint: String,
    origin: String,
    /// The header's value.
    authorization: Option<String>,
    pub(super) patience: Patience,
}

/// What the hub says of a file.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    /// Of this very commit, where the hub names it.
    pub(super) url: String,
    /// In lower case; the hub has it for large files.
    pub(super) sha256: Option<String>,
    pub(super) bytes: Option<u64>,
    pub(super) commit: Option<String>,
}

impl Client {
    pub(super) fn new(options: &HubOptions) -> Result<Self, HubError> {
        let endpoint = options.endpoint.trim_end_matches('/').to_owned();
        let uri = endpoint.parse::<Uri>().ok();
        let Some((uri, origin)) = uri.and_then(|uri| origin(&uri).map(|origin| (uri, origin)))
        else {
            return Err(HubError::BadEndpoint { endpoint });
        };
        let token = options.token.as_ref().map(|token| token.reveal());
        if token
            .is_some_and(|token| token.len() > 1024 || !token.chars().all(|c| c.is_ascii_graphic()))
        {
            return Err(HubError::BadToken);
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("curriculum/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(options.connect_timeout))
            .timeout_connect(Some(options.connect_timeout))
            .timeout_per_read(Some(options.stall_timeout))
            .timeout_per_write(Some(options.stall_timeout));
        // A proxy for the outside does not know this machine.
        if matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            config = config.proxy(None);
        }
        Ok(Self {
            agent: config.build().into(),
            endpoint,
            origin,
            authorization: token.map(|token| format!("Bearer {token}")),
            patience: Patience::of(options),
        })
    }

    /// Asks for checksum, size and commit, which the hub itself knows and its storage does not.
    pub(super) fn look_up(
        &self,
        registered: &Registered,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Remote, HubError> {
        let path = |revision: &str| {
            let repository = registered.repository;
            format!(
                "{}/{repository}/resolve/{revision}/{}",
                self.endpoint,
                Registered::FILE
            )
        };
        let url = path(Registered::REVISION);
        let mut attempts = self.patience.attempts();
        loop {
            match self.head(&url) {
                Ok(headers) => {
                    let mut remote = Remote::read(url, &headers);
                    if let Some(commit) = &remote.commit {
                        remote.url = path(commit);
                    }
                    return Ok(remote);
                }
                Err(failure) => attempts.after(failure, &url, progress)?,
            }
        }
    }

    /// The file from byte `from` on, wherever the hub keeps it.
    pub(super) fn get(&self, url: &str, from: u64) -> Result<Response<Body>, Failure> {
        let mut url = url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(Method::GET, &url, from)?;
            match redirect(&url, &response)? {
                Some(next) => url = next,
                None => return self.accepted(&url, response),
            }
        }
        Err(refused(&url, "too many redirects"))
    }

    /// The headers of the hub's own answer: a redirect inside the hub (a renamed repository) is
    /// followed, one to its storage is the answer.
    fn head(&self, url: &str) -> Result<HeaderMap, Failure> {
        let mut url = url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(Method::HEAD, &url, 0)?;
            match redirect(&url, &response)? {
                Some(next)
                    if self.is_own(&next) && !response.headers().contains_key(LINKED_ETAG) =>
                {
                    url = next;
                }
                Some(_) => return Ok(response.into_parts().0.headers),
                None => return Ok(self.accepted(&url, response)?.into_parts().0.headers),
            }
        }
        Err(refused(&url, "too many redirects"))
    }

    fn send(&self, method: Method, url: &str, from: u64) -> Result<Response<Body>, Failure> {
        // Compressed, a file has neither the announced size nor ranges.
        let mut request = Request::builder().method(method).uri(url);
        request = request.header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(authorization) = self.authorization.as_ref().filter(|_| self.is_own(url)) {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(()).map_err(|error| refused(url, error))?;
        self.agent.run(request).map_err(|error| match error {
            Error::BadUri(_)
            | Error::Http(_)
            | Error::Tls(_)
            | Error::Rustls(_)
            | Error::InvalidProxyUrl => Failure::Final(HubError::Unreachable {
                url: url.to_owned(),
                reason: error.to_string(),
            }),
            error => Failure::Transient(error.to_string()),
        })
    }

    fn accepted(&self, url: &str, response: Response<Body>) -> Result<Response<Body>, Failure> {
        let shown = || shown(url).to_owned();
        match response.status().as_u16() {
            200 | 206 | 416 => Ok(response),
            status @ (401 | 403) => Err(Failure::Final(HubError::Denied {
                token: self.authorization.is_some() && self.is_own(url),
                url: shown(),
                status,
            })),
            404 => Err(Failure::Final(HubError::NotFound { url: shown() })),
            status @ (408 | 429 | 500..) => Err(Failure::Transient(format!("status {status}"))),
            status => Err(refused(url, format_args!("status {status}"))),
        }
    }

    fn is_own(&self, url: &str) -> bool {
        let uri = url.parse::<Uri>().ok();
        uri.and_then(|uri| origin(&uri)).as_ref() == Some(&self.origin)
    }
}

const LINKED_ETAG: &str = "x-linked-etag";

impl Remote {
    fn read(url: String, headers: &HeaderMap) -> Self {
        let header = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.map(|value| {
                value
                    .trim_start_matches("W/")
                    .trim_matches('"')
                    .to_ascii_lowercase()
            })
        };
        let hexadecimal = |digits: usize| {
            move |text: &String| text.len() == digits && text.chars().all(|c| c.is_ascii_hexdigit())
        };
        // Where the hub redirects, length and etag are those of the redirect.
        let linked = headers.contains_key(LOCATION);
        let own = |name: &str| header(name).filter(|_| !linked);
        Self {
            url,
            sha256: header(LINKED_ETAG)
                .or_else(|| own("etag"))
                .filter(hexadecimal(64)),
            bytes: header("x-linked-size")
                .or_else(|| own("content-length"))
                .and_then(|bytes| bytes.parse().ok()),
            commit: header("x-repo-commit").filter(hexadecimal(40)),
        }
    }

    /// Whether `pin` is this file.
    pub(super) fn is(&self, pin: &Pin) -> bool {
        self.sha256.as_ref() == Some(&pin.sha256)
    }
}

/// Where `response` points to; never from https to http.
fn redirect(url: &str, response: &Response<Body>) -> Result<Option<String>, Failure> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    let base = url.parse::<Uri>().ok().and_then(|uri| origin(&uri));
    let next = match (location, base) {
        (Some(location), Some(base)) => resolve(location, &base),
        _ => None,
    };
    next.map(Some)
        .ok_or_else(|| refused(url, "a redirect that cannot be followed"))
}

fn resolve(location: &str, base: &str) -> Option<String> {
    let next = if location.starts_with("//") {
        let scheme = base.split("//").next()?;
        format!("{scheme}{location}")
    } else if location.starts_with('/') {
        format!("{base}{location}")
    } else {
        location.to_owned()
    };
    let origin = origin(&next.parse().ok()?)?;
    let weaker = base.starts_with("https:") && origin.starts_with("http:");
    (!weaker).then_some(next)
}

/// Scheme, host and port: who is talked to. None for what is no address of a web server, or one
/// with a password in it.
fn origin(uri: &Uri) -> Option<String> {
    let scheme = uri
        .scheme_str()
        .filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let authority = uri.authority()?.as_str().to_ascii_lowercase();
    (!authority.contains('@')).then(|| format!("{scheme}://{authority}"))
}

/// Without the query, in which storages take a signature for a password.
fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

fn refused(url: &str, answer: impl Display) -> Failure {
    Failure::Final(HubError::Refused {
        url: shown(url).to_owned(),
        answer: answer.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_resolve_and_never_weaken() {
        let base = "https://hub.example";
        for (location, next) in [
            ("/a?b=c", Some("https://hub.example/a?b=c")),
            ("//cdn.example/a", Some("https://cdn.example/a")),
            ("https://cdn.example/a", Some("https://cdn.example/a")),
            ("http://hub.example/a", None),
            ("https://user:secret@cdn.example/a", None),
            ("file:///etc/passwd", None),
            ("a", None),
        ] {
            assert_eq!(resolve(location, base).as_deref(), next, "{location}");
        }
    }

    #[test]
    fn checksum_and_size_are_those_of_the_file() {
        let read = |headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            let remote = Remote::read(String::new(), &map);
            (remote.sha256, remote.bytes)
        };
        let (file, redirect) = ("A1".repeat(32), "b2".repeat(32));
        let known = Some(file.to_lowercase());
        let (etag, linked) = (format!("W/\"{file}\""), format!("\"{file}\""));
        // A mirror that answers itself.
        assert_eq!(
            read(&[("etag", &etag), ("content-length", "7")]),
            (known.clone(), Some(7))
        );
        let location = ("location", "/blob");
        let own = [
            location,
            ("etag", redirect.as_str()),
            ("content-length", "9"),
        ];
        assert_eq!(read(&own), (None, None));
        let hub = [
            &own[..],
            &[("x-linked-etag", &linked), ("x-linked-size", "7")],
        ]
        .concat();
        assert_eq!(read(&hub), (known, Some(7)));
        // Git's hash of a small file is no checksum of it.
        assert_eq!(
            read(&[("etag", "\"0123456789abcdef0123456789abcdef01234567\"")]),
            (None, None)
        );
    }
}
