//! Requests of HTTP to the collector.

use super::{Own, Tls};
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use reqwest::{Certificate, Identity, redirect::Policy};
use std::time::Duration;
use tokio::runtime::Handle;

/// An answer says how many spans were refused, and no more.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Its requests run on the runtime where it was made: the thread that sends spans has none.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    runtime: Handle,
}

impl Client {
    /// # Errors
    /// When certificates cannot be used.
    pub(super) fn new(tls: Option<Tls>, timeout: Duration) -> reqwest::Result<Self> {
        // One that is there already will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The headers may hold a key, which is for nobody else.
        let builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(timeout);
        let Tls { authorities, own } = tls.unwrap_or_default();
        let builder = match authorities {
            Some(pem) => builder.tls_certs_only(Certificate::from_pem_bundle(pem.as_bytes())?),
            None => builder,
        };
        let builder = match own {
            Some(Own { certificate, key }) => {
                let pem = format!("{certificate}\n{key}");
                builder.identity(Identity::from_pem(pem.as_bytes())?)
            }
            None => builder,
        };
        Ok(Self {
            http: builder.build()?,
            runtime: Handle::current(),
        })
    }

    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let mut answer = self.http.execute(request).await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            *headers = std::mem::take(answer.headers_mut());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err("an answer without end".into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(response.body(body.into())?)
    }
}

#[tonic::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(self.clone().send(request));
        sent.await?
    }
}
