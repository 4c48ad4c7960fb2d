//! So many calls at work at the same time, and no more. A call beyond waits a moment for a place, and is then
//! told to come back. Clients that wait take turns, and none gets more than half of the places while another
//! waits. Health checks and streams between two messages are not at work, and need a place of a larger number.

mod places;

use super::authorize::WithKey;
use crate::{
    access::methods::{Method, Right, Time},
    metrics::Rejection,
    transport::Peer,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use places::{Client, Entry, Place, Places};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, Service};

/// When a refused call may come back: by then most of what is at work now will have been answered.
const COME_BACK: Duration = Duration::from_millis(100);

/// Calls that are open without being at work: each connection may watch something.
pub(super) const MAX_IDLE: usize = 16_384;

/// Gives calls their places.
#[derive(Clone)]
pub(crate) struct AdmissionLayer {
    places: Arc<Places>,
    idle: Arc<Semaphore>,
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
            idle: Arc::new(Semaphore::new(MAX_IDLE)),
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
        let probes = method.is_some_and(|method| method.right == Right::None);
        let watches = method.is_some_and(|method| method.time == Time::Watch);
        let idle = match probes || watches {
            true => match Arc::clone(&self.admission.idle).try_acquire_owned() {
                Ok(idle) => Some(idle),
                Err(_) => return Box::pin(async { Ok(refused()) }),
            },
            false => None,
        };
        if probes {
            // Overload is no reason to be taken for ill.
            let answer = self.inner.call(request);
            return Box::pin(async move { Ok(kept(answer.await?, None, idle)) });
        }
        let client = Client {
            address: extensions.get::<Peer>().map(|peer| peer.0.ip()),
            key: extensions.get::<WithKey>().map(|key| key.0),
        };
        let queue = self.admission.queue;
        let entry = Places::enter(&self.admission.places, client, !queue.is_zero());
        let waiting = match entry {
            Entry::Place(place) => {
                let answer = self.inner.call(request);
                return Box::pin(async move { Ok(kept(answer.await?, Some(place), idle)) });
            }
            Entry::Full => return Box::pin(async { Ok(refused()) }),
            Entry::Waiting(waiting) => waiting,
        };
        // The service that is ready is this one, and the clone is for the next call.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            match tokio::time::timeout(queue, waiting).await {
                Ok(place) => Ok(kept(inner.call(request).await?, Some(place), idle)),
                Err(_) => Ok(refused()),
            }
        })
    }
}

/// What is held until the answer has been sent: a place, or only the other number where nothing is at work any
/// more.
fn kept(
    answer: Response<Body>,
    place: Option<Place>,
    idle: Option<OwnedSemaphorePermit>,
) -> Response<Body> {
    match idle {
        Some(idle) => held(answer, idle),
        None => held(answer, place),
    }
}

fn held<H: Send + 'static>(answer: Response<Body>, hold: H) -> Response<Body> {
    use http_body::Body as _;
    match answer.body().is_end_stream() {
        true => answer,
        false => answer.map(|body| Body::new(Held { body, _hold: hold })),
    }
}

fn refused() -> Response<Body> {
    Rejection::Overloaded.count();
    let details = ErrorDetails::with_retry_info(Some(COME_BACK));
    let text = "too many calls are at work, come back in a moment";
    Status::with_error_details(Code::ResourceExhausted, text, details).into_http()
}

pin_project! {
    /// An answer that holds what its call needs.
    struct Held<H> {
        #[pin]
        body: Body,
        _hold: H,
    }
}

impl<H> http_body::Body for Held<H> {
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
