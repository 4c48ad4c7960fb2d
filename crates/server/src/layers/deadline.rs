//! The time limit of a request, and the calls that have none.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tonic::codegen::http;
use tower::{BoxError, Layer, Service, timeout::error::Elapsed};

/// Calls whose answer comes after work that grows with the data: listing a source may take minutes,
/// and an upload as long as its client sends. They end when the client goes away.
const UNLIMITED: [&str; 4] = [
    "/curriculum.v1.IngestService/SubmitJob",
    "/curriculum.v1.IngestService/PushFeatures",
    "/curriculum.v1.IngestService/PushImages",
    "/curriculum.v1.IngestService/ImportVersion",
];

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
        let unlimited = UNLIMITED.contains(&request.uri().path());
        let limit = self.limit;
        let answer = self.inner.call(request);
        Box::pin(async move {
            if unlimited {
                return answer.await.map_err(Into::into);
            }
            match tokio::time::timeout(limit, answer).await {
                Ok(answer) => answer.map_err(Into::into),
                Err(_) => Err(Elapsed::new().into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::{ServiceExt, service_fn};

    async fn call(path: &str) -> Result<(), BoxError> {
        let slow = service_fn(|_: http::Request<()>| async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok::<_, BoxError>(())
        });
        let limited = DeadlineLayer::new(Duration::from_millis(20)).layer(slow);
        let request = http::Request::builder().uri(path).body(()).unwrap();
        limited.oneshot(request).await
    }

    #[tokio::test]
    async fn only_calls_that_grow_with_the_data_may_take_longer() {
        let error = call("/curriculum.v1.IngestService/GetJob")
            .await
            .unwrap_err();
        assert!(error.is::<Elapsed>(), "{error}");
        for path in UNLIMITED {
            call(path).await.unwrap();
        }
    }
}
