//! Memory for what clients send. Each message of an upload takes its share before it comes, by the length that it
//! announces, and gives it back when the next one is asked for: by then it has been written.

use super::messages::{Limited, PREFIX};
use crate::error::overloaded;
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// Bytes of all messages that are on their way. Each is there once as it came and once read, so that twice as
/// many are taken.
const MEMORY: usize = 256 << 20;

/// Memory is counted in pieces of so many bytes.
const UNIT: usize = 1 << 10;

/// How long a message waits for others to be written.
const WAIT: Duration = Duration::from_secs(10);

/// When a refused client may go on.
const COME_BACK: Duration = Duration::from_secs(1);

/// All of it, in units.
pub(super) fn memory() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MEMORY / UNIT))
}

/// The body of a request whose messages take memory.
pub(super) struct Upload<B = Limited> {
    body: B,
    /// What came and was not passed on.
    rest: Bytes,
    prefix: BytesMut,
    /// Bytes of the message that are still to come.
    left: usize,
    memory: Arc<Semaphore>,
    /// Of the message.
    taken: Option<OwnedSemaphorePermit>,
    waiting: Option<BoxFuture<'static, Option<OwnedSemaphorePermit>>>,
}

impl<B> Upload<B> {
    pub(super) fn new(body: B, memory: Arc<Semaphore>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            prefix: BytesMut::with_capacity(PREFIX),
            left: 0,
            memory,
            taken: None,
            waiting: None,
        }
    }

    /// Takes memory for the message that begins, or waits for it.
    fn begin(&mut self) {
        let units = u32::try_from(self.left.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let memory = Arc::clone(&self.memory);
        match Arc::clone(&memory).try_acquire_many_owned(units) {
            Ok(taken) => self.taken = Some(taken),
            Err(_) => {
                self.waiting = Some(Box::pin(async move {
                    let taken = tokio::time::timeout(WAIT, memory.acquire_many_owned(units));
                    taken.await.ok()?.ok()
                }));
            }
        }
    }

    /// What may be passed on of what is here: a part of a message, or a prefix that is complete.
    fn part(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        if let Some(waiting) = &mut self.waiting {
            let taken = ready!(waiting.as_mut().poll(context));
            self.waiting = None;
            match taken {
                Some(taken) => self.taken = Some(taken),
                None => return Poll::Ready(Some(Err(refused()))),
            }
        }
        if self.prefix.len() == PREFIX {
            return Poll::Ready(Some(Ok(self.prefix.split().freeze())));
        }
        if self.left > 0 {
            let length = self.left.min(self.rest.len());
            self.left -= length;
            let part = self.rest.split_to(length);
            return Poll::Ready((!part.is_empty()).then_some(Ok(part)));
        }
        if self.prefix.is_empty() {
            // The message before has been taken.
            self.taken = None;
        }
        let length = (PREFIX - self.prefix.len()).min(self.rest.len());
        self.prefix.extend_from_slice(&self.rest.split_to(length));
        let Ok([_, length @ ..]) = <[u8; PREFIX]>::try_from(&self.prefix[..]) else {
            return Poll::Ready(None);
        };
        self.left = u32::from_be_bytes(length) as usize;
        self.begin();
        self.part(context)
    }
}

fn refused() -> Status {
    let text = "too much is being uploaded, come back in a moment";
    overloaded(text, COME_BACK)
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(part) = ready!(self.part(context)) {
                return Poll::Ready(Some(part.map(Frame::data)));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None if self.prefix.is_empty() => return Poll::Ready(None),
                // Broken off in the middle of a prefix, which is for others to say.
                None => {
                    let prefix = self.prefix.split().freeze();
                    return Poll::Ready(Some(Ok(Frame::data(prefix))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none()
            && self.rest.is_empty()
            && self.prefix.is_empty()
            && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces of a body, all there.
    struct Pieces(Vec<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn messages(lengths: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for length in lengths {
            bytes.push(0);
            bytes.extend((*length as u32).to_be_bytes());
            bytes.extend((0..*length).map(|byte| byte as u8));
        }
        bytes
    }

    fn upload(bytes: &[u8], piece: usize, memory: &Arc<Semaphore>) -> Upload<Pieces> {
        let pieces = bytes.chunks(piece).rev().map(Bytes::copy_from_slice);
        Upload::new(Pieces(pieces.collect()), Arc::clone(memory))
    }

    fn poll(upload: &mut Upload<Pieces>) -> Poll<Option<Bytes>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let frame = Pin::new(upload).poll_frame(&mut context);
        frame.map(|frame| frame.map(|frame| frame.unwrap().into_data().unwrap()))
    }

    #[test]
    fn what_comes_is_passed_on_however_it_is_cut() {
        let bytes = [messages(&[3, 0, 5_000, 1]), vec![0, 0]].concat();
        for piece in (1..20).chain([4_999, 6_000]) {
            let memory = Arc::new(Semaphore::new(5));
            let mut upload = upload(&bytes, piece, &memory);
            let mut passed = Vec::new();
            while let Poll::Ready(Some(part)) = poll(&mut upload) {
                passed.extend_from_slice(&part);
            }
            assert_eq!(passed, bytes, "in pieces of {piece}");
            drop(upload);
            assert_eq!(memory.available_permits(), 5);
        }
    }

    #[tokio::test]
    async fn a_message_waits_until_there_is_memory_for_it() {
        let memory = Arc::new(Semaphore::new(5));
        let bytes = messages(&[4 << 10, 2 << 10]);
        let mut first = upload(&bytes, bytes.len(), &memory);
        let length = |part: Poll<Option<Bytes>>| part.map(|part| part.map(|part| part.len()));
        assert_eq!(length(poll(&mut first)), Poll::Ready(Some(PREFIX)));
        let mut second = upload(&bytes, bytes.len(), &memory);
        assert_eq!(length(poll(&mut second)), Poll::Pending);
        assert_eq!(length(poll(&mut first)), Poll::Ready(Some(4 << 10)));
        assert_eq!(
            length(poll(&mut second)),
            Poll::Pending,
            "it is not written"
        );
        // The next one is asked for: who waited longer goes first.
        assert_eq!(length(poll(&mut first)), Poll::Pending);
        assert_eq!(length(poll(&mut second)), Poll::Ready(Some(PREFIX)));
        drop(second);
        assert_eq!(length(poll(&mut first)), Poll::Ready(Some(PREFIX)));
        assert_eq!(length(poll(&mut first)), Poll::Ready(Some(2 << 10)));
        assert_eq!(length(poll(&mut first)), Poll::Ready(None));
    }
}
