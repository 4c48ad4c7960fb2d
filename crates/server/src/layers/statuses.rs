//! The top of the stack: whatever the layers below say, a client gets an answer of one kind.

use bytes::Bytes;
use futures_util::future::{FutureExt, Map};
use http::{Request, Response};
use std::{
    convert::Infallible,
    task::{Context, Poll},
};
use tonic::{Status, body::Body};
use tower::{BoxError, Layer, Service};

/// Makes statuses of errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusesLayer;

/// A service whose errors are answers.
#[derive(Clone, Debug)]
pub(crate) struct Statuses<S>(S);

type Answer = Result<Response<Body>, Infallible>;

impl<S> Layer<S> for StatusesLayer {
    type Service = Statuses<S>;

    fn layer(&self, inner: S) -> Statuses<S> {
        Statuses(inner)
    }
}

impl<S, B> Service<Request<Body>> for Statuses<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Map<S::Future, fn(Result<Response<B>, S::Error>) -> Answer>;

    /// The layers below are always ready, or refuse when called.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        match self.0.poll_ready(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(()) | Err(_)) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request).map(answer)
    }
}

fn answer<B, E>(answer: Result<Response<B>, E>) -> Answer
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    E: Into<BoxError>,
{
    Ok(match answer {
        Ok(answer) => answer.map(Body::new),
        Err(error) => Status::from_error(error.into()).into_http(),
    })
}
