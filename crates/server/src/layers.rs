//! The whole middleware stack, top to bottom.

mod calls;
mod deadline;
mod request_id;

use crate::{config::Grpc, metrics::Rejection};
use calls::CallsLayer;
use deadline::DeadlineLayer;
use request_id::RequestIdLayer;
use std::time::Duration;
use tonic::Status;
use tower::{
    BoxError, ServiceBuilder,
    layer::util::{Identity, Stack as Over},
    limit::GlobalConcurrencyLimitLayer,
    load_shed::{LoadShedLayer, error::Overloaded},
    timeout::error::Elapsed,
    util::MapErrLayer,
};

type NameErrors = MapErrLayer<fn(BoxError) -> BoxError>;
type Seen = Over<NameErrors, Over<CallsLayer, Over<RequestIdLayer, Identity>>>;
type Limit = Over<GlobalConcurrencyLimitLayer, Over<LoadShedLayer, Seen>>;

/// The layers a request passes, first to last.
pub(crate) type Stack = ServiceBuilder<Over<DeadlineLayer, Limit>>;

/// A name; a span with method and code, counts and time; errors of the layers below as statuses; refusal at once when
/// too many requests are at work; the deadline for the first message of an answer.
pub(crate) fn stack(grpc: &Grpc) -> Stack {
    ServiceBuilder::new()
        .layer(RequestIdLayer::default())
        .layer(CallsLayer::new())
        .layer(MapErrLayer::new(name_error as fn(BoxError) -> BoxError))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(
            grpc.max_concurrent_requests,
        ))
        .layer(DeadlineLayer::new(Duration::from_secs(
            grpc.request_timeout_seconds,
        )))
}

/// tonic turns a shed request into `RESOURCE_EXHAUSTED` by itself, but would answer `UNKNOWN` to a
/// passed deadline.
fn name_error(error: BoxError) -> BoxError {
    if error.is::<Elapsed>() {
        Status::deadline_exceeded("the server's time limit for a request has passed").into()
    } else {
        if error.is::<Overloaded>() {
            Rejection::Overloaded.count();
        }
        error
    }
}
