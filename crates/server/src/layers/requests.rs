//! Whose fault it is that a request cannot be read: its client's. tonic answers such a request as if the
//! server were broken.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

/// How tonic begins what it says, as INTERNAL, of a request that it cannot read. gRPC wants that code for
/// some of these; it would count them as faults of the server, which any client could then raise.
const UNREADABLE: [&str; 5] = [
    "failed to decode Protobuf message: ",
    "protocol error: received message with ",
    "Error decompressing: ",
    "Unexpected EOF decoding stream.",
    "Missing request message.",
];

/// Gives requests that cannot be read the codes of their clients' mistakes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestsLayer;

/// A service that is not blamed for its clients.
#[derive(Clone, Debug)]
pub(crate) struct Requests<S>(S);

impl<S> Layer<S> for RequestsLayer {
    type Service = Requests<S>;

    fn layer(&self, inner: S) -> Requests<S> {
        Requests(inner)
    }
}

impl<S> Service<Request<Body>> for Requests<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let broken = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&broken);
        let answer = self
            .0
            .call(request.map(|body| Body::new(Arriving { body, broken: seen })));
        Box::pin(async move { Ok(judged(answer.await?, broken.load(Ordering::Relaxed))) })
    }
}

pin_project! {
    /// The body of a request.
    struct Arriving {
        #[pin]
        body: Body,
        // Whether it broke off: its client is gone, or has taken the call back.
        broken: Arc<AtomicBool>,
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(context));
        if let Some(Err(_)) = &frame {
            this.broken.store(true, Ordering::Relaxed);
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

/// The answer with the code that is due. Only a call that failed before its first message has its status
/// here; a request is read by then.
fn judged(mut answer: Response<Body>, broken: bool) -> Response<Body> {
    let Some(status) = answer.extensions().get::<Status>() else {
        return answer;
    };
    let code = match status.code() {
        Code::Ok => return answer,
        _ if broken => Code::Cancelled,
        Code::Internal if is_unreadable(status.message()) => Code::InvalidArgument,
        _ => return answer,
    };
    let code = HeaderValue::from(code as i32);
    answer.headers_mut().insert(Status::GRPC_STATUS, code);
    answer
}

fn is_unreadable(text: &str) -> bool {
    UNREADABLE.iter().any(|begin| text.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: Status, broken: bool) -> Code {
        let answer = judged(status.into_http(), broken);
        Status::from_header_map(answer.headers()).unwrap().code()
    }

    #[test]
    fn only_what_is_said_of_the_request_is_its_clients_fault() {
        let garbage = <() as prost::Message>::decode(&[0xff; 10][..]).unwrap_err();
        let garbage = Status::internal(garbage.to_string());
        assert_eq!(code(garbage.clone(), false), Code::InvalidArgument);
        assert_eq!(code(garbage, true), Code::Cancelled);
        for own in [
            Status::internal("internal error, see the server's log"),
            Status::internal("Error encoding: too long"),
            Status::data_loss("failed to decode Protobuf message: a record"),
            Status::not_found("there is no curriculum `c`"),
        ] {
            let expected = own.code();
            assert_eq!(code(own, false), expected);
        }
        assert_eq!(code(Status::unknown("reset"), true), Code::Cancelled);
        assert_eq!(code(Status::ok(""), true), Code::Ok);
    }
}
