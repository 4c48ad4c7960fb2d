//! The time limits of a call: the client's, which is for all of its answer, and the server's, which is for the
//! first message and which some calls do not have.

use crate::access::methods::{Method, Right, Time};
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Status, body::Body};
use tower::{BoxError, Layer, Service, timeout::error::Elapsed};

/// For an answer about health, request included: it needs no key, and nothing to be read.
const HEALTH: Duration = Duration::from_secs(5);

/// Ends calls that are not answered in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeadlineLayer {
    limit: Duration,
}

/// A service behind the time limit.
#[derive(Clone, Debug)]
pub(crate) struct Deadline<S> {
    inner: S,
    limit: Duration,
}

impl DeadlineLayer {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline {
            inner,
            limit: self.limit,
        }
    }
}

impl<S, B> Service<http::Request<B>> for Deadline<S>
where
    S: Service<http::Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let method = request.extensions().get::<Method>();
        let own = match method.map(|method| (method.right, method.time)) {
            Some((Right::None, _)) => Some(self.limit.min(HEALTH)),
            Some((Right::Read | Right::Write, Time::Unlimited)) => None,
            Some((Right::Read | Right::Write, Time::Limited | Time::Watch)) | None => {
                Some(self.limit)
            }
        };
        let of_client = of_client(request.headers());
        // One that no clock holds is none.
        let end = of_client.and_then(|limit| Instant::now().checked_add(limit));
        let limit = [own, of_client].into_iter().flatten().min();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = match limit {
                None => answer.await,
                Some(limit) => tokio::time::timeout(limit, answer)
                    .await
                    .map_err(|_| Elapsed::new())?,
            };
            let answer = answer.map_err(Into::into)?;
            Ok(match end {
                Some(end) if !http_body::Body::is_end_stream(answer.body()) => {
                    answer.map(|body| Body::new(Ending::new(body, end)))
                }
                Some(_) | None => answer,
            })
        })
    }
}

pin_project! {
    /// An answer that ends when its client no longer waits for it.
    struct Ending {
        // Gone once it has ended.
        body: Option<Body>,
        #[pin]
        end: Sleep,
    }
}

impl Ending {
    fn new(body: Body, end: Instant) -> Self {
        Self {
            body: Some(body),
            end: sleep_until(end),
        }
    }
}

impl http_body::Body for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let Some(body) = this.body else {
            return Poll::Ready(None);
        };
        if this.end.poll(context).is_pending() {
            return Pin::new(body).poll_frame(context);
        }
        *this.body = None;
        let mut trailers = HeaderMap::new();
        let passed = Status::deadline_exceeded("the time that the client gave has passed");
        Poll::Ready(Some(
            passed
                .add_header(&mut trailers)
                .map(|()| Frame::trailers(trailers)),
        ))
    }

    fn is_end_stream(&self) -> bool {
        self.body
            .as_ref()
            .is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // It may end earlier than it meant to.
        SizeHint::default()
    }
}

/// How long the client waits: `grpc-timeout`, up to eight digits and a unit. One that cannot be read does
/// not count.
fn of_client(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::methods;
    use tower::{ServiceExt, service_fn};

    /// A call that is answered after `time`, with a limit of 20 ms.
    async fn call(path: &str, time: Duration) -> Result<Response<Body>, BoxError> {
        let slow = service_fn(move |_: http::Request<()>| async move {
            tokio::time::sleep(time).await;
            Ok::<_, BoxError>(Response::new(Body::empty()))
        });
        let limited = DeadlineLayer::new(Duration::from_millis(20)).layer(slow);
        let mut request = http::Request::builder().uri(path).body(()).unwrap();
        let method = methods::find(path).unwrap();
        request.extensions_mut().insert(*method);
        limited.oneshot(request).await
    }

    #[tokio::test]
    async fn only_calls_that_grow_with_the_data_may_take_longer() {
        let path = "/curriculum.v1.IngestService/GetJob";
        let error = call(path, Duration::from_secs(3_600)).await.unwrap_err();
        assert!(error.is::<Elapsed>(), "{error}");
        for name in ["SubmitJob", "PushFeatures", "PushImages", "ImportVersion"] {
            let path = format!("/curriculum.v1.IngestService/{name}");
            call(&path, Duration::from_millis(200)).await.unwrap();
        }
    }

    /// Messages one after the other, a moment apart, without an end.
    struct Endless(Pin<Box<Sleep>>);

    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            std::task::ready!(self.0.as_mut().poll(context));
            let next = Instant::now() + Duration::from_millis(10);
            self.0.as_mut().reset(next);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    #[tokio::test]
    async fn an_answer_ends_when_its_client_no_longer_waits() {
        let stream = service_fn(|_: http::Request<()>| async {
            let body = Endless(Box::pin(tokio::time::sleep(Duration::ZERO)));
            Ok::<_, BoxError>(Response::new(Body::new(body)))
        });
        let limited = DeadlineLayer::new(Duration::from_secs(10)).layer(stream);
        let started = Instant::now();
        let request = http::Request::builder().header("grpc-timeout", "500m");
        let answer = limited.oneshot(request.body(()).unwrap()).await.unwrap();
        let mut body = answer.into_body();
        let mut messages = 0;
        let trailers = loop {
            let frame = std::future::poll_fn(|context| {
                http_body::Body::poll_frame(Pin::new(&mut body), context)
            });
            match frame.await.unwrap().unwrap().into_trailers() {
                Ok(trailers) => break trailers,
                Err(_) => messages += 1,
            }
        };
        assert_eq!(trailers["grpc-status"], "4");
        assert!(messages > 0, "nothing came before");
        assert!(started.elapsed() >= Duration::from_millis(500));
        assert!(http_body::Body::is_end_stream(&body));
    }

    #[test]
    fn clients_limits_are_read() {
        let read = |text: &str| {
            let mut headers = http::HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            of_client(&headers)
        };
        for (text, nanoseconds) in [
            ("2H", 7_200_000_000_000),
            ("3M", 180_000_000_000),
            ("99999999S", 99_999_999_000_000_000),
            ("250m", 250_000_000),
            ("7u", 7_000),
            ("0n", 0),
        ] {
            let expected = Duration::from_nanos(nanoseconds);
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in ["", "S", "1", "1s", "-1S", "+1S", "100000000S", "1.5S"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(of_client(&http::HeaderMap::new()), None);
    }
}
