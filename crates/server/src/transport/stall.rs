//! Calls whose client does not take the answer. HTTP/2 lets a client close the window of one call and go on
//! with others: nothing is written then, and nothing is polled that could notice. So each call's task is
//! watched from outside, and dropped when a piece of its answer, at most 1 MiB, has not been taken in time.
//! HTTP/2 forgets what was buffered for it, and the client sees a reset.

use super::{
    Notes,
    watched::{Life, Patience},
};
use crate::metrics::STALLED;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{task::futures::TaskLocalFuture, time::Instant};

/// Bytes of an answer that may be left to the connection when its call ends. An answer that ends with more
/// waits until they are taken: HTTP/2 would keep them for as long as the client likes.
const LEFT: usize = 64 << 10;

/// Pieces below are not counted: HTTP/2 copies the smallest anyway.
const COUNTED: usize = 4 << 10;

tokio::task_local! {
    static CALL: Arc<Progress>;
}

/// Where an answer stands between service and client.
#[derive(Default)]
struct Progress {
    /// Since when a piece waits for the client, or nothing does.
    waiting: Mutex<Option<Instant>>,
    /// Bytes that are neither written nor dropped.
    untaken: AtomicUsize,
    waker: AtomicWaker,
}

impl Progress {
    /// A std mutex: nothing awaits under it, and only the call's own task takes it.
    fn set(&self, waiting: Option<Instant>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }

    fn waiting(&self) -> Option<Instant> {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_taken(&self) -> bool {
        self.untaken.load(Ordering::Acquire) <= LEFT
    }
}

/// Runs the calls of a connection, each as a task.
#[derive(Clone)]
pub(super) struct Calls {
    pub(super) limit: Duration,
    pub(super) notes: Arc<Notes>,
    pub(super) peer: SocketAddr,
    pub(super) life: Arc<Life>,
}

/// A call that a connection has open.
struct Open(Arc<Life>);

impl Open {
    fn begin(life: &Arc<Life>) -> Self {
        life.begin_call();
        Self(Arc::clone(life))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.end_call();
    }
}

impl<F> Executor<F> for Calls
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let progress = Arc::new(Progress::default());
        tokio::spawn(Call {
            call: CALL.scope(Arc::clone(&progress), call),
            progress,
            patience: Patience::new(self.limit),
            open: Open::begin(&self.life),
            calls: self.clone(),
        });
    }
}

pin_project! {
    /// One call, answer included.
    struct Call<F> {
        #[pin]
        call: TaskLocalFuture<Arc<Progress>, F>,
        progress: Arc<Progress>,
        patience: Patience,
        open: Open,
        calls: Calls,
    }
}

impl<F: Future<Output = ()>> Future for Call<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.call.poll(context).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = this.progress.waiting() else {
            return Poll::Pending;
        };
        ready!(this.patience.poll_over(since, context));
        metrics::counter!(STALLED, "what" => "call").increment(1);
        let peer = this.calls.peer;
        this.calls
            .notes
            .stalled
            .add(format_args!("{peer}: one call"));
        Poll::Ready(())
    }
}

pin_project! {
    /// An answer's body, with account of what the client takes.
    pub(super) struct Answer<B> {
        #[pin]
        body: B,
        progress: Arc<Progress>,
        // What comes after the last piece, held back until that is taken.
        last: Option<Option<Frame<Bytes>>>,
    }
}

impl<B> Answer<B> {
    /// Of the call at whose task this is called.
    pub(super) fn new(body: B) -> Self {
        Self {
            body,
            progress: CALL.try_with(Arc::clone).unwrap_or_default(),
            last: None,
        }
    }
}

impl<B: Body<Data = Bytes>> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if this.last.is_none() {
            // Being asked means that the piece before is on its way.
            this.progress.set(None);
            let frame = match ready!(this.body.poll_frame(context)) {
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        this.progress.set(Some(Instant::now()));
                        let data = counted(data, this.progress);
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Err(frame) => Some(frame),
                },
                None => None,
            };
            *this.last = Some(frame);
        }
        this.progress.waker.register(context.waker());
        if !this.progress.is_taken() {
            let since = this.progress.waiting().unwrap_or_else(Instant::now);
            this.progress.set(Some(since));
            return Poll::Pending;
        }
        this.progress.set(None);
        Poll::Ready(this.last.take().flatten().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.last.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece that tells when it is no longer needed.
struct Piece {
    data: Bytes,
    progress: Arc<Progress>,
}

fn counted(data: Bytes, progress: &Arc<Progress>) -> Bytes {
    if data.len() < COUNTED {
        return data;
    }
    progress.untaken.fetch_add(data.len(), Ordering::AcqRel);
    let progress = Arc::clone(progress);
    Bytes::from_owner(Piece { data, progress })
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let length = self.data.len();
        self.progress.untaken.fetch_sub(length, Ordering::AcqRel);
        if self.progress.is_taken() {
            self.progress.waker.wake();
        }
    }
}
