//! Who may do what.
//!
//! | module | holds |
//! |---|---|
//! | `methods` | every call that there is, and the right that it needs |
//! | `keys` | the keys and what each allows, read from files |
//! | `names` | patterns of curricula's names |
//!
//! A layer (`layers::authorize`) decides by key and method before anything else sees a call. What the key of
//! some curricula may see is decided here, in each call of theirs, once its curriculum's name is known.

pub(crate) mod keys;
pub(crate) mod methods;
mod names;

use crate::error::ServiceError;
use http::Extensions;
use keys::Grant;

/// What the key of a request allows, as its extension; none where nobody needs a key.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(pub(crate) Grant);

/// Whether a call may know anything of a curriculum.
pub(crate) fn sees(extensions: &Extensions, curriculum: &str) -> bool {
    match extensions.get::<Bearer>() {
        None | Some(Bearer(Grant::Read | Grant::Write)) => true,
        Some(Bearer(Grant::Curricula(names))) => names.match_any(curriculum),
    }
}

/// # Errors
/// When the caller may not know of the curriculum, whether it exists or not.
pub(crate) fn check(extensions: &Extensions, curriculum: &str) -> Result<(), ServiceError> {
    match sees(extensions, curriculum) {
        true => Ok(()),
        false => Err(ServiceError::Forbidden),
    }
}
