//! What an object store says, in our words.

use std::error::Error;

use super::refusal::{find, root_cause};
use crate::access::error::AccessError;
use crate::place::{Remote, redacted};

/// The most characters of a store's answer that are shown.
const SHOWN: usize = 300;

/// The error at `remote`. Holds no URL with a query, whatever the store put in its answer.
pub(super) fn translate(remote: &Remote, error: &object_store::Error) -> AccessError {
    let place = remote.to_string();
    if let Some(refusal) = find(error) {
        let rule = refusal.0.clone();
        return AccessError::Refused { place, rule };
    }
    let reason = reason(remote, error);
    match error {
        object_store::Error::NotFound { .. } => AccessError::NotFound { place },
        object_store::Error::Precondition { .. } | object_store::Error::NotModified { .. } => {
            AccessError::Changed { place }
        }
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => AccessError::Denied { place, reason },
        _ => AccessError::Remote { place, reason },
    }
}

/// The cause in a line.
fn reason(remote: &Remote, error: &(dyn Error + 'static)) -> String {
    let text = root_cause(error).to_string();
    let text = match &remote.query {
        // A server may give back what it was asked.
        Some(query) if !query.is_empty() => text.replace(&**query, "…"),
        Some(_) | None => text,
    };
    let text = match (element(&text, "Code"), element(&text, "Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => text,
    };
    let words: Vec<String> = text.split_whitespace().map(without_query).collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The text of an element of a store's XML answer.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once("</")?.0)
}

fn without_query(word: &str) -> String {
    let url = word.find("http://").or_else(|| word.find("https://"));
    match url {
        Some(at) => format!("{}{}", &word[..at], redacted(&word[at..])),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> Remote {
        match crate::place::Place::parse("https://h.example/a?sig=SECRET") {
            Ok(crate::place::Place::Remote(remote)) => remote,
            other => panic!("{other:?}"),
        }
    }

    fn said(text: &str) -> String {
        let error = object_store::Error::Generic {
            store: "test",
            source: text.to_owned().into(),
        };
        translate(&remote(), &error).to_string()
    }

    #[test]
    fn shows_code_and_message_of_an_answer() {
        let xml = "403: <Error><Code>AccessDenied</Code><Message>No such key pair</Message>\
                   <AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>";
        let text = said(xml);
        assert!(text.ends_with("AccessDenied: No such key pair"), "{text}");
        assert!(!text.contains("AKIA"), "{text}");
    }

    #[test]
    fn shows_no_secret_and_no_more_than_a_line() {
        let text = said("GET (https://u:SECRET@h/x?X-Amz-Signature=SECRET) failed\n\nover and out");
        assert!(!text.contains("SECRET"), "{text}");
        assert!(text.contains("failed over and out"), "{text}");
        assert!(said(&"ä".repeat(10_000)).chars().count() < 400);
    }
}
