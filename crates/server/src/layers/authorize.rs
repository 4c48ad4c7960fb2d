//! Keys. Before anything that could tell what exists: without a key all calls have one answer.

use crate::{
    access::{
        Bearer,
        keys::{Grant, KeyId, Keys},
        methods::{self, Right},
    },
    metrics::Rejection,
    transport::Standing,
};
use futures_util::future::{Either, Ready, ready};
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

/// What a call without a valid key is told.
const NO_KEY: &str = "a valid key is needed, sent as `authorization: Bearer KEY`";

/// Which key a call came with, as an extension of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WithKey(pub(crate) KeyId);

/// Lets calls pass that may.
#[derive(Clone)]
pub(crate) struct AuthorizeLayer {
    keys: Option<Arc<Keys>>,
}

/// A service behind the keys.
#[derive(Clone)]
pub(crate) struct Authorize<S> {
    inner: S,
    keys: Option<Arc<Keys>>,
}

impl AuthorizeLayer {
    /// Without keys, every call that there is may pass.
    pub(crate) fn new(keys: Option<Arc<Keys>>) -> Self {
        Self { keys }
    }
}

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Authorize<S> {
        Authorize {
            inner,
            keys: self.keys.clone(),
        }
    }
}

impl<S> Authorize<S> {
    /// Whether the call may pass; it then carries who made it, and which call it is.
    fn check<B>(&self, request: &mut Request<B>) -> Result<(), Status> {
        let method = methods::find(request.uri().path());
        if let Some(keys) = &self.keys
            && method.is_none_or(|method| method.right != Right::None)
        {
            let found = bearer(request.headers()).and_then(|key| keys.find(key));
            let (id, grant) = found.ok_or_else(|| Status::unauthenticated(NO_KEY))?;
            let right = method.map(|method| method.right);
            if right == Some(Right::Write) && !matches!(grant, Grant::Write) {
                return Err(Status::permission_denied("the key may only read"));
            }
            request.extensions_mut().insert(Bearer(grant));
            request.extensions_mut().insert(WithKey(id));
        }
        let method = method.ok_or_else(|| Status::unimplemented("there is no such call"))?;
        if let Some(connection) = request.extensions().get::<Standing>()
            && method.right != Right::None
        {
            connection.admit();
        }
        request.extensions_mut().insert(*method);
        request.headers_mut().remove(AUTHORIZATION);
        Ok(())
    }
}

impl<S, B> Service<Request<B>> for Authorize<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.check(&mut request) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(status) => {
                let reason = match status.code() {
                    Code::Unauthenticated => Rejection::Unauthenticated,
                    Code::PermissionDenied => Rejection::PermissionDenied,
                    _ => Rejection::Unimplemented,
                };
                reason.count();
                Either::Right(ready(Ok(status.into_http())))
            }
        }
    }
}

/// The key of `authorization: Bearer KEY`. The scheme's case does not matter (RFC 9110).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Auth, transport::reload::Reloads};
    use std::{convert::Infallible, fs};
    use tower::{ServiceExt, service_fn};

    const READER: &str = "reader-reader-reader";
    const WRITER: &str = "writer-writer-writer";

    fn layer() -> AuthorizeLayer {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, key: &str| {
            let path = folder.path().join(name);
            fs::write(&path, key).unwrap();
            Some(path)
        };
        let auth = Auth {
            read_keys_file: file("read", READER),
            write_keys_file: file("write", WRITER),
            curriculum_keys_file: None,
        };
        let keys = Keys::open(&auth, &mut Reloads::default());
        AuthorizeLayer::new(keys.unwrap().map(Arc::new))
    }

    /// Code and text of the answer; an answer of the service within is OK.
    async fn call(layer: &AuthorizeLayer, path: &str, key: Option<&str>) -> (Code, String) {
        let inner = service_fn(|request: Request<()>| async move {
            assert!(request.headers().get(AUTHORIZATION).is_none());
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let mut request = Request::builder().uri(path);
        if let Some(key) = key {
            request = request.header("authorization", key);
        }
        let request = request.body(()).unwrap();
        let Ok(answer) = layer.layer(inner).oneshot(request).await;
        match Status::from_header_map(answer.headers()) {
            Some(status) => (status.code(), status.message().to_owned()),
            None => (Code::Ok, String::new()),
        }
    }

    const READ: &str = "/curriculum.v1.CurriculumService/GetWeights";
    const WRITE: &str = "/curriculum.v1.IngestService/SubmitJob";
    const HEALTH: &str = "/grpc.health.v1.Health/Check";
    const ABSENT: &str = "/curriculum.v1.CurriculumService/Absent";

    #[tokio::test]
    async fn keys_decide_what_passes() {
        let layer = layer();
        let with = |key: &str| Some(format!("Bearer {key}"));
        for (path, key, expected) in [
            (READ, with(READER), Code::Ok),
            (READ, with(WRITER), Code::Ok),
            (READ, Some(format!("bearer {READER}")), Code::Ok),
            (WRITE, with(WRITER), Code::Ok),
            (WRITE, with(READER), Code::PermissionDenied),
            (ABSENT, with(READER), Code::Unimplemented),
            (HEALTH, None, Code::Ok),
            (HEALTH, with("wrong"), Code::Ok),
        ] {
            let (code, text) = call(&layer, path, key.as_deref()).await;
            assert_eq!(code, expected, "{path} {key:?} {text}");
        }
    }

    #[tokio::test]
    async fn without_a_valid_key_all_calls_have_one_answer() {
        let layer = layer();
        let wrong = format!("Bearer {READER}x");
        let other = format!("Basic {READER}");
        let bare = READER.to_owned();
        let keys = [
            None,
            Some(""),
            Some("Bearer"),
            Some(&wrong),
            Some(&other),
            Some(&bare),
        ];
        for path in [READ, WRITE, ABSENT, "/", "/curriculum.v1.Other/Call"] {
            for key in keys {
                let answer = call(&layer, path, key).await;
                assert_eq!(answer, (Code::Unauthenticated, NO_KEY.to_owned()), "{path}");
            }
        }
    }

    #[tokio::test]
    async fn without_keys_all_calls_pass_that_there_are() {
        let layer = AuthorizeLayer::new(None);
        for path in [READ, WRITE, HEALTH] {
            assert_eq!(call(&layer, path, None).await.0, Code::Ok);
        }
        assert_eq!(call(&layer, ABSENT, None).await.0, Code::Unimplemented);
    }
}
