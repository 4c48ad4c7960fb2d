//! The size of requests. A message that is too large is refused when its length is known, before anything is
//! set aside for it.

use crate::access::methods::Method;
use bytes::Bytes;
use http::Request;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Refuses messages that are too large for their method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessagesLayer;

/// A service whose requests are bounded.
#[derive(Clone, Debug)]
pub(crate) struct Messages<S>(S);

impl<S> Layer<S> for MessagesLayer {
    type Service = Messages<S>;

    fn layer(&self, inner: S) -> Messages<S> {
        Messages(inner)
    }
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Messages<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let limit = request.extensions().get::<Method>().map(|m| m.message);
        self.0.call(match limit {
            Some(limit) => request.map(|body| Body::new(Limited::new(body, limit))),
            None => request,
        })
    }
}

pin_project! {
    /// A request's body.
    struct Limited {
        #[pin]
        body: Body,
        limit: usize,
        prefix: Vec<u8>,
        // Bytes of the message that are still to come.
        left: usize,
    }
}

impl Limited {
    fn new(body: Body, limit: usize) -> Self {
        Self {
            body,
            limit,
            prefix: Vec::with_capacity(PREFIX),
            left: 0,
        }
    }
}

/// Follows messages through the pieces that they come in.
fn follow(
    mut piece: &[u8],
    prefix: &mut Vec<u8>,
    left: &mut usize,
    limit: usize,
) -> Result<(), Status> {
    loop {
        let (of_message, rest) = piece.split_at((*left).min(piece.len()));
        *left -= of_message.len();
        let (of_prefix, rest) = rest.split_at((PREFIX - prefix.len()).min(rest.len()));
        prefix.extend_from_slice(of_prefix);
        let Ok([_, length @ ..]) = <[u8; PREFIX]>::try_from(prefix.as_slice()) else {
            return Ok(());
        };
        prefix.clear();
        *left = u32::from_be_bytes(length) as usize;
        if *left > limit {
            let text = format!("a message of {left} bytes, but {limit} are the most for this call");
            return Err(Status::out_of_range(text));
        }
        piece = rest;
    }
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(piece) = frame.data_ref()
            && let Err(status) = follow(piece, this.prefix, this.left, *this.limit)
        {
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
    fn take(bytes: &[u8], piece: usize) -> Result<(), Status> {
        let (mut prefix, mut left) = (Vec::new(), 0);
        let mut pieces = bytes.chunks(piece);
        pieces.try_for_each(|piece| follow(piece, &mut prefix, &mut left, 100))
    }

    #[test]
    fn each_message_may_have_so_many_bytes_however_they_come() {
        let good = [message(0), message(100), message(1), message(100)].concat();
        let bad = [good.clone(), message(101)].concat();
        for piece in 1..=bad.len() {
            take(&good, piece).unwrap();
            let refused = take(&bad, piece).unwrap_err();
            assert!(refused.message().contains("101 bytes"), "{refused}");
        }
        // The length is enough.
        take(&[0, 255, 255, 255, 255], 5).unwrap_err();
        take(&[0, 255, 255, 255], 4).unwrap();
    }
}
