//! A name for every call: its client's own, or one made here. It is in the span of the call, so in every
//! line that is logged for it, and in the headers of the answer.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};
use tonic::codegen::http::{HeaderName, HeaderValue, Request, Response};
use tower::{Layer, Service};

pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest name that is taken from a client.
const MAX: usize = 64;

/// Gives calls their names.
#[derive(Clone, Default)]
pub(crate) struct RequestIdLayer(Arc<Names>);

/// A service whose calls have names.
#[derive(Clone)]
pub(crate) struct RequestId<S> {
    inner: S,
    names: Arc<Names>,
}

/// Never the same twice in a process, nor, but by chance, in two.
#[derive(Default)]
struct Names {
    made: AtomicU64,
    scatter: RandomState,
}

impl Names {
    fn make(&self) -> HeaderValue {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("{:016x}", self.scatter.hash_one(number));
        // Hexadecimal digits are fine in a header.
        HeaderValue::try_from(name).unwrap_or_else(|_| HeaderValue::from_static("unnamed"))
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestId<S>;

    fn layer(&self, inner: S) -> RequestId<S> {
        RequestId {
            inner,
            names: Arc::clone(&self.0),
        }
    }
}

impl<S, A, B> Service<Request<A>> for RequestId<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let headers = request.headers_mut();
        let given = headers.get(&HEADER).filter(|given| is_sane(given));
        let name = given.cloned().unwrap_or_else(|| self.names.make());
        headers.insert(HEADER, name.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            answer.headers_mut().insert(HEADER, name);
            Ok(answer)
        })
    }
}

/// What can stand in a log and in a URL as it is.
fn is_sane(name: &HeaderValue) -> bool {
    let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let name = name.as_bytes();
    (1..=MAX).contains(&name.len()) && name.iter().all(sane)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, convert::Infallible};
    use tower::{ServiceExt, service_fn};

    /// What the service saw, which is what the answer says.
    async fn named(layer: &RequestIdLayer, given: Option<&str>) -> String {
        let echo = service_fn(|request: Request<()>| async move {
            let seen = request.headers()[HEADER].to_str().unwrap().to_owned();
            Ok::<_, Infallible>(Response::new(seen))
        });
        let mut request = Request::new(());
        if let Some(given) = given {
            let given = HeaderValue::from_bytes(given.as_bytes()).unwrap();
            request.headers_mut().insert(HEADER, given);
        }
        let answer = layer.layer(echo).oneshot(request).await.unwrap();
        assert_eq!(answer.headers()[HEADER], *answer.body());
        answer.into_body()
    }

    #[tokio::test]
    async fn sane_names_are_kept_and_others_replaced() {
        let layer = RequestIdLayer::default();
        let longest = "x".repeat(MAX);
        for sane in ["a", "3f-A_9.z", &longest] {
            assert_eq!(named(&layer, Some(sane)).await, sane);
        }
        let long = "x".repeat(MAX + 1);
        for other in ["", "a b", "a\"b", "ü", "{}", "a\tb", &long] {
            let made = named(&layer, Some(other)).await;
            assert!(made.len() == 16 && made != other, "{other}: {made}");
        }
        let mut made = HashSet::new();
        for _ in 0..1_000 {
            made.insert(named(&layer, None).await);
        }
        assert_eq!(made.len(), 1_000);
    }
}
