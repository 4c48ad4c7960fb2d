//! Requests as they arrive. A call waits for its first message before it takes a place, and not for long: one
//! that is only opened costs others nothing. A message that is too large is refused when its length is known,
//! before anything is set aside for it.

use super::{
    admission::refused,
    uploads::{self, Upload},
};
use crate::{
    access::methods::{Method, Right},
    transport::greeting::{Greetings, Silence},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::sync::Semaphore;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// Bytes before each message: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

/// Until the first message must have come. It usually comes with the headers.
const FIRST: Duration = Duration::from_secs(10);

/// Bytes of a first message, at most: it is kept before the call has a place.
const FIRST_BYTES: usize = 1 << 20;

/// Calls whose first message is on its way, at least. They are no more than calls at work may be.
const ARRIVING: usize = 64;

/// Waits for the first message, and refuses messages that are too large for their method.
#[derive(Clone)]
pub(crate) struct MessagesLayer {
    /// Of calls whose first message is on its way.
    arriving: Arc<Greetings>,
    /// Of what is uploaded.
    memory: Arc<Semaphore>,
    limit: Duration,
}

/// A service whose requests are there, and bounded.
#[derive(Clone)]
pub(crate) struct Messages<S> {
    inner: S,
    messages: MessagesLayer,
}

impl MessagesLayer {
    /// For so many calls at work, each of which is waited for so long at most.
    pub(crate) fn new(places: usize, limit: Duration) -> Self {
        Self {
            arriving: Arc::new(Greetings::new(places.max(ARRIVING))),
            memory: uploads::memory(),
            limit: limit.min(FIRST),
        }
    }
}

impl<S> Layer<S> for MessagesLayer {
    type Service = Messages<S>;

    fn layer(&self, inner: S) -> Messages<S> {
        Messages {
            inner,
            messages: self.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for Messages<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(method) = request.extensions().get::<Method>().copied() else {
            return Box::pin(self.inner.call(request));
        };
        // The service that is ready is this one, and the clone is for the next call.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let messages = self.messages.clone();
        Box::pin(async move {
            let mut request = request.map(|body| Limited::new(body, method.message));
            if let Err(status) = messages.arrive(request.body_mut(), method).await {
                return Ok(status.into_http());
            }
            let request = request.map(|body| match method.is_upload() {
                true => Body::new(Upload::new(body, messages.memory)),
                false => Body::new(body),
            });
            inner.call(request).await
        })
    }
}

impl MessagesLayer {
    /// Waits for the first message. Where many are waited for, the oldest call goes for a new one.
    async fn arrive(&self, body: &mut Limited, method: Method) -> Result<(), Status> {
        if let Poll::Ready(first) = poll_fn(|context| Poll::Ready(body.poll_first(context))).await {
            return first;
        }
        let first = poll_fn(|context| body.poll_first(context));
        if method.right == Right::None {
            // Health has a shorter deadline, and nobody must be able to shut others out.
            return first.await;
        }
        let (mut greeting, _ticket) = self.arriving.begin(self.limit);
        tokio::select! {
            first = first => first,
            silence = greeting.failed() => Err(match silence {
                Silence::GivenUp => refused(),
                Silence::TooLong => {
                    let text = "the first message of the request did not come in time";
                    Status::deadline_exceeded(text)
                }
            }),
        }
    }
}

/// A request's body.
pub(super) struct Limited {
    body: Body,
    messages: Follow,
    /// Came while the first message was waited for.
    came: VecDeque<Frame<Bytes>>,
    ended: bool,
}

/// Where the messages are, in pieces that they come in.
struct Follow {
    limit: usize,
    prefix: Vec<u8>,
    /// Bytes of the message that are still to come.
    left: usize,
    /// There has been a whole message.
    whole: bool,
}

impl Limited {
    fn new(body: Body, limit: usize) -> Self {
        Self {
            body,
            messages: Follow::new(limit),
            came: VecDeque::new(),
            ended: false,
        }
    }

    /// Ready once a whole message is here, or nothing more comes.
    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        while !self.messages.whole && !self.ended {
            match ready!(self.poll_next(context)) {
                Some(Ok(frame)) => self.came.push_back(frame),
                Some(Err(status)) => return Poll::Ready(Err(status)),
                None => self.ended = true,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(piece) = frame.data_ref()
            && let Err(status) = self.messages.go_on(piece)
        {
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(frame)
    }
}

impl Follow {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            prefix: Vec::with_capacity(PREFIX),
            left: 0,
            whole: false,
        }
    }

    fn go_on(&mut self, mut piece: &[u8]) -> Result<(), Status> {
        loop {
            let (of_message, rest) = piece.split_at(self.left.min(piece.len()));
            let ends = self.left > 0 && self.left == of_message.len();
            self.left -= of_message.len();
            self.whole |= ends;
            let room = match self.left {
                0 => PREFIX - self.prefix.len(),
                _ => 0,
            };
            let (of_prefix, rest) = rest.split_at(room.min(rest.len()));
            self.prefix.extend_from_slice(of_prefix);
            let Ok([_, length @ ..]) = <[u8; PREFIX]>::try_from(self.prefix.as_slice()) else {
                return Ok(());
            };
            self.prefix.clear();
            self.left = u32::from_be_bytes(length) as usize;
            self.check()?;
            self.whole |= self.left == 0;
            piece = rest;
        }
    }

    fn check(&self) -> Result<(), Status> {
        let (length, limit) = (self.left, self.limit);
        if length > limit {
            let text =
                format!("a message of {length} bytes, but {limit} are the most for this call");
            return Err(Status::out_of_range(text));
        }
        if !self.whole && length > FIRST_BYTES {
            let text = format!(
                "a first message of {length} bytes, but {FIRST_BYTES} are the most for one"
            );
            return Err(Status::out_of_range(text));
        }
        Ok(())
    }
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.came.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None if self.ended => Poll::Ready(None),
            None => self.poll_next(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.came.is_empty() && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self.came.is_empty() {
            true => self.body.size_hint(),
            false => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend(length.to_be_bytes());
        bytes.resize(PREFIX + length as usize, 7);
        bytes
    }

    /// What comes of messages that arrive in pieces of so many bytes.
    fn take(bytes: &[u8], piece: usize) -> Result<Follow, Status> {
        let mut messages = Follow::new(100);
        let mut pieces = bytes.chunks(piece);
        pieces.try_for_each(|piece| messages.go_on(piece))?;
        Ok(messages)
    }

    #[test]
    fn each_message_may_have_so_many_bytes_however_they_come() {
        let good = [message(0), message(100), message(1), message(100)].concat();
        let bad = [good.clone(), message(101)].concat();
        for piece in 1..=bad.len() {
            assert!(take(&good, piece).unwrap().whole);
            let refused = take(&bad, piece).err().unwrap();
            assert!(refused.message().contains("101 bytes"), "{refused}");
        }
        // The length is enough.
        assert!(take(&[0, 255, 255, 255, 255], 5).is_err());
        assert!(take(&[0, 255, 255, 255], 4).is_ok());
    }

    #[test]
    fn a_message_is_whole_with_its_last_byte() {
        for piece in 1..=105 {
            for (length, bytes) in [(100, 104), (1, 5), (0, 4)] {
                let message = message(length);
                let part = take(&message[..bytes], piece).unwrap();
                assert!(!part.whole, "{length} in pieces of {piece}");
                assert!(take(&message, piece).unwrap().whole);
            }
        }
        let first = Follow::new(2 * FIRST_BYTES).go_on(&[0, 0, 16, 0, 1]);
        assert!(first.unwrap_err().message().contains("first message"));
    }
}
