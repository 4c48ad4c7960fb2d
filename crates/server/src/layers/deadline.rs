//! The time limits of a request: the client's, and the server's, which some calls do not have.

use crate::access::methods::{Method, Right, Time};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
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
    S: Service<http::Request<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

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
        let limit = [own, of_client(request.headers())]
            .into_iter()
            .flatten()
            .min();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let Some(limit) = limit else {
                return answer.await.map_err(Into::into);
            };
            match tokio::time::timeout(limit, answer).await {
                Ok(answer) => answer.map_err(Into::into),
                Err(_) => Err(Elapsed::new().into()),
            }
        })
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

    async fn call(path: &str) -> Result<(), BoxError> {
        let slow = service_fn(|_: http::Request<()>| async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok::<_, BoxError>(())
        });
        let limited = DeadlineLayer::new(Duration::from_millis(20)).layer(slow);
        let mut request = http::Request::builder().uri(path).body(()).unwrap();
        let method = methods::find(path).unwrap();
        request.extensions_mut().insert(*method);
        limited.oneshot(request).await
    }

    #[tokio::test]
    async fn only_calls_that_grow_with_the_data_may_take_longer() {
        let error = call("/curriculum.v1.IngestService/GetJob")
            .await
            .unwrap_err();
        assert!(error.is::<Elapsed>(), "{error}");
        for name in ["SubmitJob", "PushFeatures", "PushImages", "ImportVersion"] {
            let path = format!("/curriculum.v1.IngestService/{name}");
            call(&path).await.unwrap();
        }
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
