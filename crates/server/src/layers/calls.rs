//! Every call, from the first byte of the request to the last of the answer: a span, counts by method and
//! code, and its time.

mod methods;
mod span;

use http_body::{Body, Frame, SizeHint};
use methods::{Method, Methods};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use tonic::{
    Code, Status,
    codegen::http::{HeaderMap, Request, Response},
};
use tower::{BoxError, Layer, Service};
use tracing::{Instrument, Span};

/// Where the code of an answer is: in its headers if there are no messages, or else in its trailers.
const STATUS: &str = "grpc-status";

/// Sees what passes.
#[derive(Clone)]
pub(crate) struct CallsLayer(Arc<Methods>);

/// A service whose calls are seen.
#[derive(Clone)]
pub(crate) struct Calls<S> {
    inner: S,
    methods: Arc<Methods>,
}

/// The body of an answer, with its call.
pub(crate) struct Answer<B> {
    inner: B,
    call: Call,
}

/// A call on its way. It ends when it is dropped, however that comes about: without a code its client left.
struct Call {
    method: Arc<Method>,
    span: Span,
    begun: Instant,
    code: Option<Code>,
}

impl CallsLayer {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Methods::new()))
    }
}

impl<S> Layer<S> for CallsLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls {
            inner,
            methods: Arc::clone(&self.0),
        }
    }
}

impl<S, A, B> Service<Request<A>> for Calls<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<Answer<B>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let span = span::of(&request);
        let mut call = Call::begin(self.methods.of(request.uri().path()), span.clone());
        let answer = span.in_scope(|| self.inner.call(request)).instrument(span);
        Box::pin(async move {
            match answer.await {
                Ok(answer) => {
                    call.ends_with(code_in(answer.headers()));
                    Ok(answer.map(|inner| Answer { inner, call }))
                }
                Err(error) => {
                    call.ends_with(Some(code_of(&error)));
                    Err(error)
                }
            }
        })
    }
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Self { inner, call } = &mut *self;
        let polled = call.span.in_scope(|| Pin::new(inner).poll_frame(context));
        if let Poll::Ready(frame) = &polled {
            let found = match frame {
                Some(Ok(frame)) => frame.trailers_ref().and_then(code_in),
                Some(Err(_)) => Some(Code::Internal),
                // An answer that ends without a code is none of gRPC.
                None => Some(call.code.unwrap_or(Code::Unknown)),
            };
            call.code = found.or(call.code);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Call {
    fn begin(method: Arc<Method>, span: Span) -> Self {
        method.in_flight.increment(1.0);
        Self {
            method,
            span,
            begun: Instant::now(),
            code: None,
        }
    }

    fn ends_with(&mut self, code: Option<Code>) {
        self.code = code;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Method {
            in_flight,
            seconds,
            ended,
        } = &*self.method;
        let (code, took) = (self.code.unwrap_or(Code::Cancelled), self.begun.elapsed());
        in_flight.decrement(1.0);
        seconds.record(took);
        span::end(&self.span, code, took.as_secs_f64());
        if let Some(counter) = ended.get(code as usize) {
            counter.increment(1);
        }
    }
}

fn code_in(headers: &HeaderMap) -> Option<Code> {
    Some(Code::from_bytes(headers.get(STATUS)?.as_bytes()))
}

/// The code that tonic makes of an error.
fn code_of(error: &BoxError) -> Code {
    match error.downcast_ref::<Status>() {
        Some(status) => status.code(),
        None => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use std::{collections::BTreeSet, convert::Infallible, future::pending};
    use tonic::body::Body as Sent;
    use tower::{ServiceExt, service_fn};

    const WEIGHTS: &str = "/curriculum.v1.CurriculumService/GetWeights";

    /// One frame of data, then trailers.
    struct Streamed(Vec<Frame<&'static [u8]>>);

    impl Body for Streamed {
        type Data = &'static [u8];
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
            Poll::Ready(self.0.pop().map(Ok))
        }
    }

    fn streamed(code: i32) -> Response<Streamed> {
        let mut trailers = HeaderMap::new();
        trailers.insert(STATUS, code.into());
        Response::new(Streamed(vec![Frame::trailers(trailers), Frame::data(b"x")]))
    }

    async fn frames<B: Body + Unpin>(body: &mut B, count: usize) {
        for _ in 0..count {
            std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context).map(drop))
                .await;
        }
    }

    fn request(path: &str) -> Request<()> {
        Request::builder().uri(path).body(()).unwrap()
    }

    /// What a fresh recorder shows after calls.
    fn counted(calls: impl AsyncFnOnce(CallsLayer)) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let layer = metrics::with_local_recorder(&recorder, CallsLayer::new);
        runtime.block_on(calls(layer));
        handle.render()
    }

    fn value(text: &str, name: &str, labels: &str) -> f64 {
        let series = format!("curriculum_grpc_{name}{{{labels}}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("no {series} in {text}"))
            .parse()
            .unwrap()
    }

    #[test]
    fn codes_come_from_wherever_they_are() {
        let text = counted(async |layer| {
            let ask = service_fn(|_: Request<()>| async { Ok::<_, BoxError>(streamed(0)) });
            let mut answer = layer.layer(ask).oneshot(request(WEIGHTS)).await.unwrap();
            frames(answer.body_mut(), 3).await;
            drop(answer);
            // Its client left in the middle of the answer.
            let answer = layer.layer(ask).oneshot(request(WEIGHTS)).await.unwrap();
            let (_, mut body) = answer.into_parts();
            frames(&mut body, 1).await;
            drop(body);
            let refuse = service_fn(|_: Request<()>| async {
                Ok::<Response<Sent>, BoxError>(Status::not_found("").into_http())
            });
            drop(layer.layer(refuse).oneshot(request(WEIGHTS)).await.unwrap());
            let shed = service_fn(|_: Request<()>| async {
                Err::<Response<Sent>, BoxError>(Status::resource_exhausted("").into())
            });
            drop(layer.layer(shed).oneshot(request(WEIGHTS)).await);
            let late = service_fn(|_: Request<()>| async {
                Err::<Response<Sent>, BoxError>(Status::deadline_exceeded("").into())
            });
            drop(layer.layer(late).oneshot(request(WEIGHTS)).await);
            // Its client left before the answer.
            let hang = service_fn(|_: Request<()>| pending::<Result<Response<Sent>, BoxError>>());
            drop(layer.layer(hang).call(request(WEIGHTS)));
        });
        let method = format!("method=\"{}\"", &WEIGHTS[1..]);
        for (code, count) in [
            ("OK", 1.0),
            ("NOT_FOUND", 1.0),
            ("RESOURCE_EXHAUSTED", 1.0),
            ("DEADLINE_EXCEEDED", 1.0),
            ("CANCELLED", 2.0),
            ("UNKNOWN", 0.0),
        ] {
            let labels = format!("{method},code=\"{code}\"");
            assert_eq!(value(&text, "requests_total", &labels), count, "{code}");
        }
        assert_eq!(value(&text, "request_duration_seconds_count", &method), 6.0);
        assert_eq!(value(&text, "requests_in_flight", &method), 0.0);
    }

    #[test]
    fn calls_are_in_flight_until_the_end_of_their_answer() {
        let mut seen = Vec::new();
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let layer = metrics::with_local_recorder(&recorder, CallsLayer::new);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let method = format!("method=\"{}\"", &WEIGHTS[1..]);
        let mut look = || seen.push(value(&handle.render(), "requests_in_flight", &method));
        runtime.block_on(async {
            let ask = service_fn(|_: Request<()>| async { Ok::<_, BoxError>(streamed(0)) });
            let call = layer.layer(ask).call(request(WEIGHTS));
            look();
            let answer = call.await.unwrap();
            look();
            drop(answer);
            look();
        });
        assert_eq!(seen, [1.0, 1.0, 0.0]);
    }

    #[test]
    fn paths_that_clients_make_up_share_one_label() {
        let text = counted(async |layer| {
            let ask = service_fn(|_: Request<()>| async { Ok::<_, BoxError>(streamed(12)) });
            let mut service = layer.layer(ask);
            for number in 0..10_000_u64 {
                let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let path = match number % 3 {
                    0 => format!("/curriculum.v1.CurriculumService/{random:x}"),
                    1 => format!("{WEIGHTS}/{random:x}"),
                    _ => format!("/{random:x}?method=GetWeights"),
                };
                let mut answer = service.call(request(&path)).await.unwrap();
                frames(answer.body_mut(), 3).await;
            }
        });
        let labels = text.lines().filter_map(|line| line.split_once("method=\""));
        let methods: BTreeSet<&str> = labels
            .filter_map(|(_, rest)| rest.split('"').next())
            .collect();
        assert_eq!(methods.len(), Methods::new().count());
        let other = "method=\"other\",code=\"UNIMPLEMENTED\"";
        assert_eq!(value(&text, "requests_total", other), 10_000.0);
    }
}
