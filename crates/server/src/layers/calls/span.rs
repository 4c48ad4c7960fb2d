//! The span of a call: method, name, client and code, and its parent if the client sent one.

use crate::{layers::request_id, transport::Peer};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tonic::{
    Code,
    codegen::http::{HeaderMap, Request},
};
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Longest method that is shown; a client may send any path.
const MAX_METHOD: usize = 128;

/// W3C's header with the span that a call belongs to: version, trace, span and flags in hexadecimal digits.
const PARENT: &str = "traceparent";

pub(super) fn of<B>(request: &Request<B>) -> Span {
    let path = request.uri().path().trim_start_matches('/');
    let method = path.get(..MAX_METHOD).unwrap_or(path);
    let name = request.headers().get(request_id::HEADER);
    let peer = request.extensions().get::<Peer>();
    // At the level of errors, so that whatever a filter leaves of the log has the name.
    let span = tracing::error_span!(
        "request",
        method,
        request_id = name.and_then(|name| name.to_str().ok()),
        client.address = peer.map(|peer| field::display(peer.0.ip().to_canonical())),
        otel.name = method,
        otel.kind = "server",
        otel.status_code = field::Empty,
        rpc.system = "grpc",
        rpc.grpc.status_code = field::Empty,
    );
    if let Some(parent) = parent(request.headers()) {
        // An error says that nobody collects spans.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    span
}

/// What came of the call. Only what is wrong in the server is a warning: clients may ask for anything.
pub(super) fn end(span: &Span, code: Code, seconds: f64) {
    span.record("rpc.grpc.status_code", code as i64);
    let is_ours = matches!(code, Code::Unknown | Code::Internal | Code::DataLoss);
    if is_ours {
        span.record("otel.status_code", "ERROR");
        span.in_scope(|| tracing::warn!(?code, seconds, "call ended"));
    } else {
        span.in_scope(|| tracing::debug!(?code, seconds, "call ended"));
    }
}

fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let text = headers.get(PARENT)?.to_str().ok()?;
    // Numbers are read with a sign, too.
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    {
        return None;
    }
    let mut fields = text.split('-');
    let (version, trace, span, flags) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    if version.len() != 2 || version == "ff" || trace.len() != 32 || span.len() != 16 {
        return None;
    }
    let trace = TraceId::from_hex(trace).ok()?;
    let span = SpanId::from_hex(span).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let parent = SpanContext::new(trace, span, flags, true, TraceState::default());
    parent.is_valid().then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::codegen::http::HeaderValue;

    fn parsed(text: &str) -> Option<SpanContext> {
        let mut headers = HeaderMap::new();
        headers.insert(PARENT, HeaderValue::from_bytes(text.as_bytes()).unwrap());
        parent(&headers)
    }

    #[test]
    fn parents_are_taken_if_they_are_well_formed() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let found = parsed(&format!("00-{trace}-{span}-01")).unwrap();
        assert_eq!(found.trace_id().to_string(), trace);
        assert_eq!(found.span_id().to_string(), span);
        assert!(found.is_sampled() && found.is_remote());
        assert!(
            !parsed(&format!("00-{trace}-{span}-00"))
                .unwrap()
                .is_sampled()
        );
        let zero = "0".repeat(32);
        for other in [
            "",
            "00",
            &format!("ff-{trace}-{span}-01"),
            &format!("00-{zero}-{span}-01"),
            &format!("00-{trace}-0000000000000000-01"),
            &format!("00-{trace}-{span}"),
            &format!("00-{trace}-{span}-x"),
            &format!("00-+{}-{span}-01", &trace[1..]),
        ] {
            assert!(parsed(other).is_none(), "{other}");
        }
    }
}
