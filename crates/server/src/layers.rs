//! The whole middleware stack, top to bottom.

mod admission;
mod authorize;
mod calls;
mod deadline;
mod messages;
mod places;
mod request_id;
mod requests;
mod statuses;
mod uploads;

use crate::{access::keys::Keys, config::Grpc};
use admission::AdmissionLayer;
use authorize::AuthorizeLayer;
use calls::CallsLayer;
use deadline::DeadlineLayer;
use messages::MessagesLayer;
pub(crate) use places::network;
use request_id::RequestIdLayer;
use requests::RequestsLayer;
use statuses::StatusesLayer;
use std::{sync::Arc, time::Duration};
use tonic::Status;
use tower::{
    BoxError, ServiceBuilder,
    layer::util::{Identity, Stack as Over},
    timeout::error::Elapsed,
    util::MapErrLayer,
};

type NameErrors = MapErrLayer<fn(BoxError) -> BoxError>;
type Seen = Over<
    RequestsLayer,
    Over<NameErrors, Over<CallsLayer, Over<StatusesLayer, Over<RequestIdLayer, Identity>>>>,
>;

/// The layers a request passes, first to last.
pub(crate) type Stack = ServiceBuilder<
    Over<AdmissionLayer, Over<MessagesLayer, Over<DeadlineLayer, Over<AuthorizeLayer, Seen>>>>,
>;

/// A name; errors as answers; a span with method and code, counts and time; whose fault it is that a request
/// cannot be read; the key, if calls need one; the client's deadline, and ours for the first message of an answer;
/// the first message of the request, and the size of all; a place among the requests at work.
pub(crate) fn stack(grpc: &Grpc, keys: Option<Arc<Keys>>) -> Stack {
    let limit = Duration::from_secs(grpc.request_timeout_seconds);
    ServiceBuilder::new()
        .layer(RequestIdLayer::default())
        .layer(StatusesLayer)
        .layer(CallsLayer::new())
        .layer(MapErrLayer::new(name_error as fn(BoxError) -> BoxError))
        .layer(RequestsLayer)
        .layer(AuthorizeLayer::new(keys))
        .layer(DeadlineLayer::new(limit))
        .layer(MessagesLayer::new(grpc.max_concurrent_requests, limit))
        .layer(AdmissionLayer::new(
            grpc.max_concurrent_requests,
            Duration::from_millis(grpc.queue_milliseconds),
        ))
}

/// A passed deadline would be `UNKNOWN`.
fn name_error(error: BoxError) -> BoxError {
    if error.is::<Elapsed>() {
        Status::deadline_exceeded("the time limit for a request has passed").into()
    } else {
        error
    }
}

#[cfg(test)]
mod tests;
