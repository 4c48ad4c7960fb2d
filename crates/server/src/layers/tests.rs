//! The stack around a service that answers or does not, as it is told by the path.

use super::*;
use crate::transport::Peer;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use std::{
    convert::Infallible,
    future::{Future, pending},
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};
use tonic::{Code, body::Body};
use tonic_types::StatusExt;
use tower::{ServiceExt, service_fn, util::BoxCloneService};

/// Its answer never ends.
const STREAMS: &str = "/curriculum.v1.CurriculumService/GetWeights";
/// It never answers.
const HANGS: &str = "/curriculum.v1.IngestService/SubmitJob";
/// It answers and never ends.
const WATCHES: &str = "/curriculum.v1.IngestService/WatchJob";
const WATCHES_HEALTH: &str = "/grpc.health.v1.Health/Watch";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const ANSWERS: &str = "/curriculum.v1.CurriculumService/GetSchedule";

struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Pending
    }
}

type Stacked = BoxCloneService<Request<Body>, Response<Body>, Infallible>;

fn stacked(places: usize, queue_milliseconds: u64) -> Stacked {
    stacked_with(Grpc {
        max_concurrent_requests: places,
        queue_milliseconds,
        ..Grpc::default()
    })
}

fn stacked_with(grpc: Grpc) -> Stacked {
    let inner = service_fn(|request: Request<Body>| async move {
        match request.uri().path() {
            HANGS => pending().await,
            STREAMS | WATCHES | WATCHES_HEALTH => {
                Ok::<_, Infallible>(Response::new(Body::new(Endless)))
            }
            _ => Ok(Response::new(Body::empty())),
        }
    });
    BoxCloneService::new(stack(&grpc, None).service(inner))
}

fn call(
    stacked: &Stacked,
    path: &str,
    timeout: Option<&str>,
) -> impl Future<Output = Response<Body>> + use<> {
    let mut request = Request::builder().uri(path);
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    let call = stacked
        .clone()
        .oneshot(request.body(Body::empty()).unwrap());
    async { call.await.unwrap_or_else(|never| match never {}) }
}

fn status(answer: &Response<Body>) -> Option<Status> {
    Status::from_header_map(answer.headers())
}

/// Polls a call once, so that it is at work or waits.
fn begin<F: Future>(call: Pin<&mut F>) {
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(call.poll(&mut context).is_pending());
}

#[tokio::test]
async fn a_call_without_a_place_is_told_when_to_come_back() {
    for queue in [0, 20] {
        let stacked = stacked(1, queue);
        let mut held = Box::pin(call(&stacked, HANGS, None));
        begin(held.as_mut());
        let refused = status(&call(&stacked, ANSWERS, None).await).unwrap();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let retry = refused.get_details_retry_info().unwrap();
        assert!(retry.retry_delay.unwrap() > Duration::ZERO);
        assert!(status(&call(&stacked, HEALTH, None).await).is_none());
        // Its client leaves.
        drop(held);
        assert!(status(&call(&stacked, ANSWERS, None).await).is_none());
    }
}

#[tokio::test]
async fn a_clients_deadline_counts_while_it_waits() {
    let stacked = stacked(1, 60_000);
    let mut held = Box::pin(call(&stacked, HANGS, None));
    begin(held.as_mut());
    let started = Instant::now();
    let late = status(&call(&stacked, ANSWERS, Some("30m")).await).unwrap();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn an_answer_holds_its_place_to_its_end_and_a_watch_does_not() {
    let stacked = stacked(1, 0);
    let watch = call(&stacked, WATCHES, None).await;
    let answer = call(&stacked, STREAMS, None).await;
    assert!(status(&watch).is_none() && status(&answer).is_none());
    assert!(status(&call(&stacked, ANSWERS, None).await).is_some());
    drop(answer);
    assert!(status(&call(&stacked, ANSWERS, None).await).is_none());
}

#[tokio::test]
async fn a_call_that_waits_gets_the_next_place() {
    let stacked = stacked(1, 60_000);
    let mut held = Box::pin(call(&stacked, HANGS, None));
    begin(held.as_mut());
    let mut waiting = Box::pin(call(&stacked, ANSWERS, None));
    begin(waiting.as_mut());
    drop(held);
    assert!(status(&waiting.await).is_none());
}

/// A body that is as it says, and does not end.
struct Opened(Option<&'static [u8]>);

impl http_body::Body for Opened {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(bytes))))),
            None => Poll::Pending,
        }
    }
}

fn of_address(path: &str, address: [u8; 4], body: Body) -> Request<Body> {
    let mut request = Request::builder().uri(path).body(body).unwrap();
    request.extensions_mut().insert(Peer((address, 1).into()));
    request
}

/// Calls that are opened and say nothing hold no place, whatever they are, and not for long.
#[tokio::test]
async fn a_call_without_its_message_holds_no_place() {
    const PUSHES: &str = "/curriculum.v1.IngestService/PushImages";
    let stacked = stacked_with(Grpc {
        max_concurrent_requests: 8,
        queue_milliseconds: 0,
        request_timeout_seconds: 1,
        ..Grpc::default()
    });
    let opened = |path, bytes| {
        let request = of_address(path, [10, 0, 0, 1], Body::new(Opened(bytes)));
        Box::pin(stacked.clone().oneshot(request))
    };
    let mut silent: Vec<_> = [HANGS, STREAMS, PUSHES, WATCHES]
        .map(|path| opened(path, None))
        .into();
    for call in &mut silent {
        begin(call.as_mut());
    }
    // With a message they are at work.
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut call = opened(HANGS, Some(&[0, 0, 0, 0, 0]));
        begin(call.as_mut());
        held.push(call);
    }
    assert!(status(&call(&stacked, ANSWERS, None).await).is_none());
    for call in silent {
        let Ok(late) = call.await;
        let late = status(&late).unwrap();
        assert_eq!(late.code(), Code::DeadlineExceeded, "{late}");
    }
    // The oldest go for newer ones.
    let mut silent: Vec<_> = (0..70).map(|_| opened(HANGS, None)).collect();
    for call in &mut silent {
        begin(call.as_mut());
    }
    let Ok(refused) = silent.swap_remove(5).await;
    assert_eq!(status(&refused).unwrap().code(), Code::ResourceExhausted);
    begin(silent[6].as_mut());
}

#[tokio::test]
async fn a_client_that_holds_its_places_leaves_some_to_others() {
    let stacked = stacked(8, 0);
    let answer = |address| {
        let request = of_address(STREAMS, address, Body::empty());
        let call = stacked.clone().oneshot(request);
        async { call.await.unwrap_or_else(|never| match never {}) }
    };
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(answer([10, 0, 0, 1]).await);
    }
    let taken = held
        .iter()
        .filter(|answer| status(answer).is_none())
        .count();
    assert_eq!(taken, 4);
    for _ in 0..3 {
        let answer = answer([10, 0, 0, 2]).await;
        assert!(status(&answer).is_none());
        held.push(answer);
    }
    assert!(status(&answer([10, 0, 0, 2]).await).is_some());
    assert!(status(&answer([10, 0, 0, 3]).await).is_none(), "a newcomer");
}

/// Nobody can take health checks from those who rely on them.
#[tokio::test]
async fn watches_are_bounded_and_health_checks_are_not() {
    let stacked = stacked(1, 0);
    let mut watches = Vec::new();
    for _ in 0..admission::HEALTH_WATCHES {
        watches.push(call(&stacked, WATCHES_HEALTH, None).await);
    }
    for _ in 0..admission::MAX_WATCHES / 2 {
        watches.push(call(&stacked, WATCHES, None).await);
    }
    assert!(watches.iter().all(|answer| status(answer).is_none()));
    for path in [WATCHES, WATCHES_HEALTH] {
        let refused = status(&call(&stacked, path, None).await).unwrap();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{path}");
    }
    let request = of_address(WATCHES, [10, 0, 0, 1], Body::empty());
    let Ok(other) = stacked.clone().oneshot(request).await;
    assert!(status(&other).is_none());
    assert!(status(&call(&stacked, ANSWERS, None).await).is_none());
    assert!(status(&call(&stacked, HEALTH, None).await).is_none());
    watches.pop();
    assert!(status(&call(&stacked, WATCHES, None).await).is_none());
}

#[tokio::test]
async fn a_health_check_without_its_message_soon_ends() {
    let request = of_address(HEALTH, [10, 0, 0, 1], Body::new(Opened(None)));
    let started = Instant::now();
    let stacked = stacked_with(Grpc {
        request_timeout_seconds: 3_600,
        ..Grpc::default()
    });
    let Ok(late) = stacked.oneshot(request).await;
    assert_eq!(status(&late).unwrap().code(), Code::DeadlineExceeded);
    // After five seconds, or a little more on a machine that stalls.
    assert!(started.elapsed() < Duration::from_secs(60));
}
