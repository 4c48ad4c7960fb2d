//! The stack around a service that answers or does not, as it is told by the path.

use super::*;
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
    let grpc = Grpc {
        max_concurrent_requests: places,
        queue_milliseconds,
        ..Grpc::default()
    };
    let inner = service_fn(|request: Request<Body>| async move {
        match request.uri().path() {
            HANGS => pending().await,
            STREAMS | WATCHES => Ok::<_, Infallible>(Response::new(Body::new(Endless))),
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

/// As many as there are connections, and some more.
#[tokio::test]
async fn watches_and_health_checks_are_bounded_too() {
    let stacked = stacked(1, 0);
    let mut watches = Vec::new();
    for _ in 0..admission::MAX_IDLE {
        watches.push(call(&stacked, WATCHES, None).await);
    }
    for path in [WATCHES, HEALTH] {
        let refused = status(&call(&stacked, path, None).await).unwrap();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{path}");
    }
    assert!(status(&call(&stacked, ANSWERS, None).await).is_none());
    watches.pop();
    assert!(status(&call(&stacked, HEALTH, None).await).is_none());
}
