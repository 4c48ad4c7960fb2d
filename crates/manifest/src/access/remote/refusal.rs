//! A rule's refusal, on its way up through the HTTP client.

use std::error::Error;

/// Why a connection was not made or a redirect not followed.
///
/// Made deep inside the client, wrapped by it and by the object store, and found again by [`find`].
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refusal(pub(super) String);

/// The refusal that led to `error`.
pub(super) fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Refusal> {
    chain(error).find_map(|error| error.downcast_ref::<Refusal>())
}

/// What happened first: the end of the chain of causes.
pub(super) fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    chain(error).last().unwrap_or(error)
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}
