//! What answers calls: health and reflection from the first moment, the services once they are open.

use crate::metrics::Rejection;
use futures_util::future::{Either, Ready, ready};
use http::{Request, Response};
use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};
use tonic::{Status, body::Body, service::Routes};
use tower::Service;

/// Paths of health and reflection begin so.
const OF_GRPC: &str = "/grpc.";

/// Clones share the moment of opening.
#[derive(Clone)]
pub(crate) struct Entrance {
    early: Routes,
    all: Arc<OnceLock<Routes>>,
}

impl Entrance {
    /// Answers `early` calls; others are UNAVAILABLE, which clients try again.
    pub(crate) fn new(early: Routes) -> Self {
        Self {
            early: early.prepare(),
            all: Arc::default(),
        }
    }

    /// Answers all calls from now on. The first opening counts.
    pub(crate) fn open(&self, services: impl FnOnce(Routes) -> Routes) {
        let all = || services(self.early.clone()).prepare();
        self.all.get_or_init(all);
    }
}

impl Service<Request<Body>> for Entrance {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<
        <Routes as Service<Request<Body>>>::Future,
        Ready<Result<Response<Body>, Infallible>>,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Routes always are.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.all.get() {
            Some(all) => Either::Left(all.clone().call(request)),
            None if request.uri().path().starts_with(OF_GRPC) => {
                Either::Left(self.early.call(request))
            }
            None => {
                Rejection::Starting.count();
                let status = Status::unavailable("the server is starting");
                Either::Right(ready(Ok(status.into_http())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    async fn code(entrance: &Entrance, path: &str) -> Option<Code> {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let Ok(answer) = entrance.clone().call(request).await;
        Status::from_header_map(answer.headers()).map(|status| status.code())
    }

    #[tokio::test]
    async fn before_it_opens_only_grpcs_own_services_answer() {
        let (_, health) = tonic_health::server::health_reporter();
        let entrance = Entrance::new(Routes::new(health));
        let call = "/curriculum.v1.CurriculumService/GetWeights";
        assert_eq!(code(&entrance, call).await, Some(Code::Unavailable));
        let unknown = "/grpc.health.v1.Unknown/Check";
        assert_eq!(code(&entrance, unknown).await, Some(Code::Unimplemented));
        let elsewhere = entrance.clone();
        entrance.open(|routes| routes);
        assert_eq!(code(&elsewhere, call).await, Some(Code::Unimplemented));
    }
}
