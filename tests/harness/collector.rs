//! A collector of spans on this machine: it takes OTLP over gRPC and HTTP and keeps what came.

use crate::{PATIENCE, certificates::Authority};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_ENCODING},
    routing::post,
};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message;
use std::{
    io::Read,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tonic::{
    Request, Response, Status,
    codec::CompressionEncoding,
    service::Routes,
    transport::{Certificate, Server, ServerTlsConfig, server::TcpIncoming},
};

/// A collector at work.
#[derive(Debug)]
pub struct Collector {
    /// Where it is, as `OTEL_EXPORTER_OTLP_ENDPOINT` takes it.
    pub endpoint: String,
    kept: Arc<Kept>,
}

#[derive(Debug)]
struct Kept {
    spans: watch::Sender<Vec<Span>>,
    last: Mutex<(Option<Resource>, HeaderMap)>,
}

impl Kept {
    fn keep(&self, request: ExportTraceServiceRequest, headers: &HeaderMap) {
        for of_resource in request.resource_spans {
            *self.last.lock().unwrap() = (of_resource.resource, headers.clone());
            let spans = of_resource
                .scope_spans
                .into_iter()
                .flat_map(|of_scope| of_scope.spans);
            self.spans.send_modify(|kept| kept.extend(spans));
        }
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        self.keep(request, &metadata.into_headers());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// `POST /v1/traces`.
async fn export(
    State(kept): State<Arc<Kept>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Vec<u8>, StatusCode> {
    let mut request = body.to_vec();
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding == "gzip")
    {
        request.clear();
        let read = GzDecoder::new(&*body).read_to_end(&mut request);
        read.map_err(|_| StatusCode::BAD_REQUEST)?;
    }
    let request = ExportTraceServiceRequest::decode(&*request);
    kept.keep(request.map_err(|_| StatusCode::BAD_REQUEST)?, &headers);
    Ok(ExportTraceServiceResponse::default().encode_to_vec())
}

impl Collector {
    /// On a free port, for as long as the test runs.
    pub async fn start() -> Self {
        Self::serve("http", Server::builder().accept_http1(true)).await
    }

    /// Behind TLS, for clients whose certificates are of the same authority.
    pub async fn secured(authority: &Authority) -> Self {
        let tls = ServerTlsConfig::new()
            .identity(authority.issue().identity())
            .client_ca_root(Certificate::from_pem(authority.pem()));
        let server = Server::builder().tls_config(tls).unwrap();
        Self::serve("https", server).await
    }

    async fn serve(scheme: &str, mut server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Kept {
            spans: watch::channel(Vec::new()).0,
            last: Mutex::default(),
        });
        let over_grpc = TraceServiceServer::from_arc(Arc::clone(&kept))
            .accept_compressed(CompressionEncoding::Gzip);
        let over_http = Router::new()
            .route("/v1/traces", post(export))
            .with_state(Arc::clone(&kept));
        let routes = Routes::new(over_grpc).into_axum_router().merge(over_http);
        let serving = server
            .add_routes(Routes::from(routes))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(serving);
        Self { endpoint, kept }
    }

    /// Waits until `enough` holds for what came so far, and returns it.
    ///
    /// # Panics
    /// When it never does.
    pub async fn spans(&self, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let mut spans = self.kept.spans.subscribe();
        let came = timeout(PATIENCE, spans.wait_for(|spans| enough(spans))).await;
        let Ok(came) = came else {
            let there = self.kept.spans.borrow();
            panic!("spans are missing, there are {:?}", names(&there));
        };
        came.unwrap().clone()
    }

    /// The service that the last spans came from, and the headers they came with.
    ///
    /// # Panics
    /// When none came.
    #[must_use]
    pub fn sender(&self) -> (String, HeaderMap) {
        let (resource, headers) = self.kept.last.lock().unwrap().clone();
        let attributes = resource.expect("no spans came").attributes;
        let name = attribute(&attributes, "service.name").unwrap();
        (name, headers)
    }
}

/// The names of spans, in order.
#[must_use]
pub fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// An attribute that is text or a number.
#[must_use]
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}
