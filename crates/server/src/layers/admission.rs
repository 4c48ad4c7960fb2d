//! So many calls at work at the same time, and no more. A call beyond waits a moment for a place, and is then
//! told to come back. Streams between two messages are not at work, and need a place of a larger number.
//! Health checks need none.

use super::places::{Client, Entry, Place, Places};
use crate::{
    access::methods::{Method, Right, Time},
    error::overloaded,
    metrics::WAITING,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use metrics::gauge;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// When a refused call may come back: by then most of what is at work now will have been answered.
const COME_BACK: Duration = Duration::from_millis(100);

/// Streams with a key that are open without being at work.
pub(super) const MAX_WATCHES: usize = 16_384;

/// The same of health, which need no key.
const MAX_HEALTH_WATCHES: usize = 16_384;

/// Those of one connection: a client watches one or two services.
pub(super) const HEALTH_WATCHES: usize = 4;

/// Gives calls their places.
#[derive(Clone)]
pub(crate) struct AdmissionLayer {
    places: Arc<Places>,
    watches: Arc<Places>,
    health_watches: Arc<Places>,
    /// How long a call waits for a place.
    queue: Duration,
}

/// A service of limited places.
#[derive(Clone)]
pub(crate) struct Admission<S> {
    inner: S,
    admission: AdmissionLayer,
}

impl AdmissionLayer {
    pub(crate) fn new(places: usize, queue: Duration) -> Self {
        Self {
            places: Places::new(places),
            watches: Places::new(MAX_WATCHES),
            health_watches: Places::shared(MAX_HEALTH_WATCHES, HEALTH_WATCHES),
            queue,
        }
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, inner: S) -> Admission<S> {
        Admission {
            inner,
            admission: self.clone(),
        }
    }
}

impl<S, B> Service<Request<B>> for Admission<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let extensions = request.extensions();
        let method = extensions.get::<Method>();
        let of_health = method.is_some_and(|method| method.right == Right::None);
        let watches = method.is_some_and(|method| method.time == Time::Watch);
        let client = Client::of(extensions);
        let admission = &self.admission;
        let watch = match (watches, of_health) {
            (false, _) => Ok(None),
            (true, false) => watch(&admission.watches, client),
            (true, true) => watch(&admission.health_watches, Client::connection(extensions)),
        };
        let Ok(watch) = watch else {
            return Box::pin(async { Ok(refused().into_http()) });
        };
        if of_health {
            // Overload is no reason to be taken for ill.
            let answer = self.inner.call(request);
            return Box::pin(async move { Ok(kept(answer.await?, None, watch)) });
        }
        let queue = admission.queue;
        let waiting = match Places::enter(&admission.places, client, !queue.is_zero()) {
            Entry::Place(place) => {
                let answer = self.inner.call(request);
                return Box::pin(async move { Ok(kept(answer.await?, Some(place), watch)) });
            }
            Entry::Full => return Box::pin(async { Ok(refused().into_http()) }),
            Entry::Waiting(waiting) => waiting,
        };
        // The service that is ready is this one, and the clone is for the next call.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let counted = Waiting::begin();
            let place = tokio::time::timeout(queue, waiting).await;
            drop(counted);
            match place {
                Ok(place) => Ok(kept(inner.call(request).await?, Some(place), watch)),
                Err(_) => Ok(refused().into_http()),
            }
        })
    }
}

/// A call that waits for a place, for as long as this is there.
struct Waiting;

impl Waiting {
    fn begin() -> Self {
        gauge!(WAITING).increment(1.0);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        gauge!(WAITING).decrement(1.0);
    }
}

/// Fails where there are too many.
fn watch(watches: &Arc<Places>, client: Client) -> Result<Option<Place>, ()> {
    Places::try_enter(watches, client).map(Some).ok_or(())
}

/// What is held until the answer has been sent: a place, or only that of a watch where nothing is at work any
/// more.
fn kept(answer: Response<Body>, place: Option<Place>, watch: Option<Place>) -> Response<Body> {
    match watch.or(place) {
        Some(place) => held(answer, place),
        None => answer,
    }
}

fn held(answer: Response<Body>, place: Place) -> Response<Body> {
    use http_body::Body as _;
    match answer.body().is_end_stream() {
        true => answer,
        false => answer.map(|body| {
            Body::new(Held {
                body,
                _place: place,
            })
        }),
    }
}

/// What a call without a place is told.
pub(super) fn refused() -> Status {
    let text = "too many calls are at work, come back in a moment";
    overloaded(text, COME_BACK)
}

pin_project! {
    /// An answer that holds what its call needs.
    struct Held {
        #[pin]
        body: Body,
        _place: Place,
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
