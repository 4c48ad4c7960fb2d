//! The HTTP clients under every store, and the rules that they enforce themselves.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use reqwest::ClientBuilder;
use reqwest::redirect::{Action, Attempt, Policy};

use super::address::{Class, class_of};
use super::refusal::{self, Refusal};
use super::resolver::Resolver;
use crate::access::allow::Rules;
use crate::access::options::AccessOptions;
use crate::place::Place;

/// Redirects that are followed, on one host.
const MAX_REDIRECTS: usize = 5;
/// A machine's metadata service answers at once or is not there.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// One client per trust: each has its own pool of connections, shared by all stores of its kind.
#[derive(Debug)]
pub(super) struct Clients {
    /// For web servers that a user named.
    web: HttpClient,
    /// For object stores, whose endpoints are the vendor's or the operator's choice.
    store: HttpClient,
    /// For the credentials of the machine's role.
    metadata: HttpClient,
}

/// For which kind of server a store gets its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Web,
    Store,
}

impl Clients {
    pub(super) fn new(options: &AccessOptions, rules: &Arc<Rules>) -> Result<Self, reqwest::Error> {
        // A second call changes nothing; `reqwest` was built to use what is installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("curriculum/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(options.connect_timeout)
                .read_timeout(options.read_timeout)
                .referer(false)
        };
        let web = || {
            let web = builder()
                .redirect(redirects(Arc::clone(rules)))
                .dns_resolver(Arc::new(Resolver::Web(Arc::clone(rules))));
            match rules.allow_anything() {
                true => web,
                // A proxy would resolve names itself, out of the resolver's sight.
                false => web.no_proxy(),
            }
        };
        let store = || {
            builder()
                .redirect(Policy::none())
                .dns_resolver(Arc::new(Resolver::Store))
        };
        let metadata = || {
            builder()
                .redirect(Policy::none())
                .no_proxy()
                .connect_timeout(METADATA_TIMEOUT)
                .timeout(METADATA_TIMEOUT)
        };
        Ok(Self {
            web: build(web)?,
            store: build(store)?,
            metadata: build(metadata)?,
        })
    }
}

/// A machine without certificates, such as a bare container, can still talk plain HTTP.
fn build(builder: impl Fn() -> ClientBuilder) -> Result<HttpClient, reqwest::Error> {
    let client = match builder().build() {
        Ok(client) => client,
        Err(error) => {
            let client = builder().tls_certs_only([]).build()?;
            tracing::warn!(%error, "no certificates to check servers by, so https will fail");
            client
        }
    };
    Ok(HttpClient::new(client))
}

/// Follows a redirect on the same host, to a place that may be read.
fn redirects(rules: Arc<Rules>) -> Policy {
    Policy::custom(move |attempt| match judge(&rules, &attempt) {
        Ok(()) => attempt.follow(),
        Err(refusal) => refuse(attempt, refusal),
    })
}

fn refuse(attempt: Attempt<'_>, refusal: Refusal) -> Action {
    attempt.error(refusal)
}

fn judge(rules: &Rules, attempt: &Attempt<'_>) -> Result<(), Refusal> {
    let next = attempt.url();
    let host = next.host_str().unwrap_or_default();
    if attempt.previous().len() > MAX_REDIRECTS {
        return Err(Refusal(format!("more than {MAX_REDIRECTS} redirects")));
    }
    let same = attempt.previous().last().is_some_and(|previous| {
        let upgraded = previous.scheme() == "http"
            && next.scheme() == "https"
            && (previous.port(), next.port()) == (None, None);
        previous.host_str() == next.host_str() && (previous.origin() == next.origin() || upgraded)
    });
    if !same {
        return Err(Refusal(format!(
            "a redirect to another host, {host}; name the final URL instead"
        )));
    }
    let target = Place::parse(next.as_str()).map_err(|error| Refusal(error.to_string()))?;
    let allowed = match &target {
        Place::Remote(remote) => rules.check_remote(remote),
        Place::Local(_) => return Err(Refusal("a redirect to a local path".to_owned())),
    };
    allowed.map_err(|_| Refusal(format!("a redirect to {target}, which may not be read")))
}

/// Gives stores their client.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) clients: Arc<Clients>,
    pub(super) kind: Kind,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp);
        Ok(HttpClient::new(Service {
            clients: Arc::clone(&self.clients),
            kind: self.kind,
            allow_http: allow_http.as_deref() == Some("true"),
        }))
    }
}

#[derive(Debug)]
struct Service {
    clients: Arc<Clients>,
    kind: Kind,
    allow_http: bool,
}

impl Service {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let plain = request.uri().scheme_str() == Some("http");
        let host = request.uri().host().unwrap_or_default().to_owned();
        if self.kind == Kind::Web {
            return self.clients.web.execute(request).await.map_err(settled);
        }
        if is_metadata(&host) {
            return self
                .clients
                .metadata
                .execute(request)
                .await
                .map_err(no_role);
        }
        if plain && !self.allow_http {
            let rule = "plain http to an object store; set AWS_ALLOW_HTTP=true (or the vendor's) to allow it";
            return Err(final_error(Refusal(rule.to_owned())));
        }
        self.clients.store.execute(request).await.map_err(settled)
    }
}

/// Written out for want of `async_trait`, which the trait was declared with.
impl HttpService for Service {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.answer(request))
    }
}

/// Whether the host is where a cloud keeps a machine's credentials. Only the vendors' own code asks there: the places
/// that users name are checked before.
fn is_metadata(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "metadata.google.internal"
        || address.is_ok_and(|address| class_of(address) == Class::Forbidden)
}

/// A refusal is final; without this the connection would be tried again and again.
fn settled(error: HttpError) -> HttpError {
    match refusal::find(&error) {
        Some(refusal) => final_error(refusal.clone()),
        None => error,
    }
}

fn no_role(error: HttpError) -> HttpError {
    match error.kind() {
        HttpErrorKind::Connect | HttpErrorKind::Timeout => HttpError::new(
            HttpErrorKind::Unknown,
            std::io::Error::other(
                "no credentials in the environment, and this machine has no role that would give some",
            ),
        ),
        HttpErrorKind::Request
        | HttpErrorKind::Interrupted
        | HttpErrorKind::Decode
        | HttpErrorKind::Unknown
        | _ => error,
    }
}

fn final_error(refusal: Refusal) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metadata_service_that_is_not_there_is_asked_once() {
        for kind in [HttpErrorKind::Connect, HttpErrorKind::Timeout] {
            let error = no_role(HttpError::new(kind, std::io::Error::other("refused")));
            // The store's client asks again after errors of every other kind.
            assert_eq!(error.kind(), HttpErrorKind::Unknown);
            assert!(error.to_string().contains("credentials"), "{error}");
        }
    }

    #[test]
    fn knows_where_clouds_keep_credentials() {
        for host in [
            "169.254.169.254",
            "169.254.170.2",
            "[fd00:ec2::23]",
            "metadata.google.internal",
        ] {
            assert!(is_metadata(host), "{host}");
        }
        for host in [
            "s3.amazonaws.com",
            "127.0.0.1",
            "metadata.example.org",
            "[::1]",
        ] {
            assert!(!is_metadata(host), "{host}");
        }
    }
}
