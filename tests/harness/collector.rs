//! A collector of spans on this machine: it takes OTLP over gRPC and keeps what came.

use crate::{PATIENCE, certificates::Authority};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::Span,
};
use std::sync::{Arc, Mutex};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
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
    last: Mutex<(Option<Resource>, MetadataMap)>,
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let metadata = request.metadata().clone();
        for of_resource in request.into_inner().resource_spans {
            *self.last.lock().unwrap() = (of_resource.resource, metadata.clone());
            let spans = of_resource
                .scope_spans
                .into_iter()
                .flat_map(|of_scope| of_scope.spans);
            self.spans.send_modify(|kept| kept.extend(spans));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// On a free port, for as long as the test runs.
    pub async fn start() -> Self {
        Self::serve("http", Server::builder()).await
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
        let service = TraceServiceServer::from_arc(Arc::clone(&kept));
        let serving = server
            .add_service(service)
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

    /// The service that the last spans came from, and the metadata they came with.
    ///
    /// # Panics
    /// When none came.
    #[must_use]
    pub fn sender(&self) -> (String, MetadataMap) {
        let (resource, metadata) = self.kept.last.lock().unwrap().clone();
        let attributes = resource.expect("no spans came").attributes;
        let name = attribute(&attributes, "service.name").unwrap();
        (name, metadata)
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
