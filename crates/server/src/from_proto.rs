//! Wire to domain. Every failure names the field.

mod parameters;
pub(crate) mod push;
pub(crate) mod sampling;

use crate::error::ServiceError;
use curriculum::{Order, weights::Encoding};
use curriculum_manifest::{Columns, Format, Source};
use curriculum_pipeline::{Page, Request, RequestedParameters};
use curriculum_proto::v1;
use curriculum_store::{
    Digest, Identity, LATEST, Reference,
    push::{PushError, PushKind},
};
use parameters::parameters;
use std::{ops::Range, path::PathBuf};

/// Trainers count in f64 or i64 somewhere along the way; beyond 2^53 iterations lose their identity.
const MAX_ITERATION: u64 = 1 << 53;
const MAX_ITERATIONS: usize = 10_000;
const MAX_ERRORS: u32 = 1_000;
const DEFAULT_ERRORS: u32 = 100;
const MAX_JOBS: u32 = 1_000;
const DEFAULT_JOBS: u32 = 100;
const MAX_PRIORITY: i32 = 1_000;

/// How the source of a push is named, before the name.
pub(crate) const PUSHED: &str = "pushed:";

type Result<T> = std::result::Result<T, ServiceError>;

/// Only the shuffled order looks at the seed.
pub(crate) fn order(value: i32, seed: u64) -> Result<Order> {
    match v1::Order::try_from(value) {
        Ok(v1::Order::Unspecified | v1::Order::EasyFirst) => Ok(Order::EasyFirst),
        Ok(v1::Order::HardFirst) => Ok(Order::HardFirst),
        Ok(v1::Order::Reversed) => Ok(Order::Reversed),
        Ok(v1::Order::Shuffled) => Ok(Order::Shuffled { seed }),
        Err(_) => Err(unknown_number("order", value)),
    }
}

pub(crate) fn encoding(value: i32) -> Result<Encoding> {
    match v1::Encoding::try_from(value) {
        Ok(v1::Encoding::Unspecified | v1::Encoding::F32) => Ok(Encoding::F32),
        Ok(v1::Encoding::F16) => Ok(Encoding::F16),
        Ok(v1::Encoding::U16) => Ok(Encoding::U16),
        Err(_) => Err(unknown_number("encoding", value)),
    }
}

pub(crate) fn iteration(field: &'static str, value: u64) -> Result<u64> {
    if value <= MAX_ITERATION {
        Ok(value)
    } else {
        Err(ServiceError::invalid(
            field,
            format!("is {value}, but must be at most 2^53"),
        ))
    }
}

pub(crate) fn iterations(values: Vec<u64>) -> Result<Vec<u64>> {
    if values.is_empty() || values.len() > MAX_ITERATIONS {
        let reason = format!(
            "has {} entries, but must have 1 to {MAX_ITERATIONS}",
            values.len()
        );
        return Err(ServiceError::invalid("iterations", reason));
    }
    values
        .into_iter()
        .map(|value| iteration("iterations", value))
        .collect()
}

/// Ids are an array of their own, and the request leaves out all others.
pub(crate) fn difficulty_only(request: &v1::GetDifficultyRequest) -> Result<()> {
    if request.difficulty_only && request.with_ids {
        let reason = "leaves out the ids that with_ids asks for";
        return Err(ServiceError::invalid("difficulty_only", reason));
    }
    Ok(())
}

/// The samples asked for, within `samples`.
pub(crate) fn range(range: Option<v1::IndexRange>, samples: u64) -> Result<Range<u64>> {
    let Some(v1::IndexRange { start, end }) = range else {
        return Ok(0..samples);
    };
    if start <= end && end <= samples {
        Ok(start..end)
    } else {
        let reason = format!("{start}..{end} does not lie within the {samples} samples");
        Err(ServiceError::invalid("range", reason))
    }
}

pub(crate) fn digest(field: &'static str, text: &str) -> Result<Digest> {
    text.parse()
        .map_err(|_| ServiceError::invalid(field, format!("`{text}` is not 64 hexadecimal digits")))
}

/// A curriculum and the version of it that is meant: `NAME@VERSION`, or both apart. A version is 64
/// hexadecimal digits or an alias; empty means the newest.
pub(crate) fn named(curriculum: &str, version: &str) -> Result<(String, Reference)> {
    match (curriculum.split_once('@'), version) {
        (None, version) => Ok((curriculum.to_owned(), reference(version))),
        (Some((name, within)), "") => Ok((name.to_owned(), reference(within))),
        (Some((_, within)), version) => {
            let reason = format!("is `{version}`, but the curriculum names `{within}` already");
            Err(ServiceError::invalid("version", reason))
        }
    }
}

/// Empty means the newest.
pub(crate) fn reference(text: &str) -> Reference {
    match (text, text.parse()) {
        ("" | LATEST, _) => Reference::Latest,
        (_, Ok(version)) => Reference::Version(version),
        (alias, Err(_)) => Reference::Alias(alias.to_owned()),
    }
}

pub(crate) fn max_errors(value: Option<u32>) -> Result<usize> {
    at_most("max_errors", value.unwrap_or(DEFAULT_ERRORS), MAX_ERRORS)
}

/// A page of jobs; its token is the sequence number of the last job of the page before.
pub(crate) fn page(request: v1::ListJobsRequest) -> Result<Page> {
    let size = request.page_size.unwrap_or(DEFAULT_JOBS);
    if size == 0 {
        return Err(ServiceError::invalid("page_size", "must be at least 1"));
    }
    let limit = at_most("page_size", size, MAX_JOBS)?;
    let after = match request.page_token.as_str() {
        "" => None,
        token => Some(token.parse().map_err(|_| {
            let reason = format!("`{token}` is not the token of a page");
            ServiceError::invalid("page_token", reason)
        })?),
    };
    Ok(Page { after, limit })
}

fn at_most(field: &'static str, value: u32, most: u32) -> Result<usize> {
    if value <= most {
        Ok(value as usize)
    } else {
        let reason = format!("is {value}, but must be at most {most}");
        Err(ServiceError::invalid(field, reason))
    }
}

/// A submission. `pushed` finds the manifest of a push, `resolve` a version of the curriculum; both
/// read the data folder.
pub(crate) fn submission(
    request: v1::SubmitJobRequest,
    pushed: impl FnOnce(&str) -> std::result::Result<(PathBuf, PushKind), PushError>,
    resolve: impl FnOnce(&str, &Reference) -> Result<Digest>,
) -> Result<Request> {
    let extend = match request.extend.as_str() {
        "" => None,
        version => Some(resolve(&request.curriculum, &reference(version))?),
    };
    let (source, shown_source) = match request.source.strip_prefix(PUSHED) {
        Some(name) => (pushed_source(pushed(name))?, Some(request.source)),
        None => {
            let source = Source {
                format: format(&request.format)?,
                columns: columns(request.columns.unwrap_or_default()),
                ..Source::new(request.source)
            };
            (source, None)
        }
    };
    Ok(Request {
        curriculum: request.curriculum,
        source,
        shown_source,
        identity: identity(request.identity)?,
        model: Some(request.model).filter(|name| !name.is_empty()),
        parameters: request
            .parameters
            .map_or_else(|| Ok(RequestedParameters::default()), parameters)?,
        priority: priority(request.priority)?,
        force: request.force,
        extend,
    })
}

/// A push is a manifest of our own, in our own folder.
fn pushed_source(found: std::result::Result<(PathBuf, PushKind), PushError>) -> Result<Source> {
    let (manifest, kind) = found.map_err(|error| match error {
        PushError::Store(error) => error.into(),
        PushError::Stopped => PushError::Stopped.into(),
        other => ServiceError::invalid("source", other.to_string()),
    })?;
    let Ok(uri) = manifest.into_os_string().into_string() else {
        return Err(ServiceError::invalid(
            "source",
            "the data folder is not UTF-8",
        ));
    };
    Ok(Source {
        format: Some(Format::Jsonl),
        vectors: match kind {
            PushKind::Images => None,
            PushKind::Features { dimension } => Some(dimension),
        },
        trusted: true,
        ..Source::new(uri)
    })
}

/// Empty means that it is found out.
fn format(name: &str) -> Result<Option<Format>> {
    match name {
        "" => Ok(None),
        name => name.parse().map(Some).map_err(|reason: String| {
            ServiceError::invalid("format", format!("`{name}`: {reason}"))
        }),
    }
}

fn columns(columns: v1::Columns) -> Columns {
    let given = |name: Option<String>| name.filter(|name| !name.is_empty());
    Columns {
        id: given(columns.id),
        path: given(columns.path),
        label: given(columns.label),
        image: given(columns.image),
        vector: given(columns.vector),
    }
}

fn identity(value: i32) -> Result<Identity> {
    match v1::Identity::try_from(value) {
        Ok(v1::Identity::Unspecified | v1::Identity::Bytes) => Ok(Identity::Bytes),
        Ok(v1::Identity::Etag) => Ok(Identity::Etag),
        Err(_) => Err(unknown_number("identity", value)),
    }
}

/// Room for everybody's scale, and for sums of priorities.
fn priority(value: i32) -> Result<i32> {
    if (-MAX_PRIORITY..=MAX_PRIORITY).contains(&value) {
        Ok(value)
    } else {
        let reason = format!("is {value}, but must lie in -{MAX_PRIORITY}..{MAX_PRIORITY}");
        Err(ServiceError::invalid("priority", reason))
    }
}

fn unknown_number(field: &'static str, value: i32) -> ServiceError {
    ServiceError::invalid(field, format!("{value} is not a value this server knows"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_enum_numbers_are_errors() {
        assert!(order(7, 0).is_err() && encoding(7).is_err());
        assert!(order(-1, 0).is_err() && encoding(-1).is_err());
        assert_eq!(order(0, 5).unwrap(), Order::EasyFirst);
    }

    #[test]
    fn only_the_shuffled_order_has_a_seed() {
        let of = |wire: v1::Order| order(wire.into(), 5).unwrap();
        assert_eq!(of(v1::Order::HardFirst), Order::HardFirst);
        assert_eq!(of(v1::Order::Reversed), Order::Reversed);
        assert_eq!(of(v1::Order::Shuffled), Order::Shuffled { seed: 5 });
    }

    #[test]
    fn ranges_lie_within_the_samples() {
        let wire = |start, end| Some(v1::IndexRange { start, end });
        assert_eq!(range(None, 10).unwrap(), 0..10);
        assert_eq!(range(wire(3, 3), 10).unwrap(), 3..3);
        assert!(range(wire(4, 3), 10).is_err() && range(wire(0, 11), 10).is_err());
        assert!(range(wire(u64::MAX, 0), 10).is_err());
    }

    #[test]
    fn versions_are_named_in_one_place() {
        let hex = "5".repeat(64);
        let id = Reference::Version([0x55; 32].into());
        let alias = Reference::Alias("prod".to_owned());
        for (curriculum, version, expected) in [
            ("c", "", Reference::Latest),
            ("c@latest", "", Reference::Latest),
            ("c", "latest", Reference::Latest),
            ("c@prod", "", alias.clone()),
            ("c", "prod", alias),
            ("c", hex.as_str(), id.clone()),
            (&format!("c@{hex}"), "", id),
        ] {
            let found = named(curriculum, version).unwrap();
            assert_eq!(found, ("c".to_owned(), expected), "{curriculum} {version}");
        }
        assert!(named("c@prod", "latest").is_err());
    }

    #[test]
    fn sources_say_how_they_are_read() {
        let none = |_: &str| Err(PushError::Unknown("p".to_owned()));
        let no_version = |_: &str, _: &Reference| Ok(Digest::from([1; 32]));
        let request = v1::SubmitJobRequest {
            source: "s3://b/x.jsonl".to_owned(),
            format: "jsonl".to_owned(),
            columns: Some(v1::Columns {
                id: Some("key".to_owned()),
                label: Some(String::new()),
                ..v1::Columns::default()
            }),
            identity: v1::Identity::Etag.into(),
            extend: "prod".to_owned(),
            ..v1::SubmitJobRequest::default()
        };
        let made = submission(request.clone(), none, no_version).unwrap();
        assert_eq!(made.source.columns.id.as_deref(), Some("key"));
        assert_eq!(
            (made.source.columns.label, made.source.trusted),
            (None, false)
        );
        assert_eq!(
            (made.identity, made.extend),
            (Identity::Etag, Some([1; 32].into()))
        );
        for (source, format) in [("pushed:p", ""), ("x", "docx")] {
            let request = v1::SubmitJobRequest {
                source: source.to_owned(),
                format: format.to_owned(),
                ..request.clone()
            };
            assert!(submission(request, none, no_version).is_err(), "{source}");
        }
        let found = |_: &str| {
            Ok((
                PathBuf::from("/d/m.jsonl"),
                PushKind::Features { dimension: 3 },
            ))
        };
        let request = v1::SubmitJobRequest {
            source: "pushed:p".to_owned(),
            ..v1::SubmitJobRequest::default()
        };
        let made = submission(request, found, no_version).unwrap().source;
        assert_eq!((made.vectors, made.trusted), (Some(3), true));
    }

    #[test]
    fn pages_of_jobs_have_a_size() {
        let request = |page_size, token: &str| v1::ListJobsRequest {
            page_size,
            page_token: token.to_owned(),
        };
        let first = page(request(None, "")).unwrap();
        assert_eq!((first.after, first.limit), (None, 100));
        let next = page(request(Some(7), "41")).unwrap();
        assert_eq!((next.after, next.limit), (Some(41), 7));
        for bad in [
            request(Some(0), ""),
            request(Some(1_001), ""),
            request(None, "x"),
        ] {
            assert!(page(bad.clone()).is_err(), "{bad:?}");
        }
        assert!(
            priority(1_000).is_ok() && priority(-1_001).is_err() && priority(i32::MIN).is_err()
        );
    }

    #[test]
    fn iterations_beyond_2_to_the_53_are_refused() {
        assert!(iteration("iteration", 1 << 53).is_ok());
        assert!(iteration("iteration", (1 << 53) + 1).is_err());
        assert!(iterations(vec![]).is_err() && iterations(vec![0; 10_001]).is_err());
    }
}
