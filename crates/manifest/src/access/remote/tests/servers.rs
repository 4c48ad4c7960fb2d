//! Against a web server that misbehaves.

use std::io::Read;
use std::time::Instant;

use super::*;
use crate::access::Look;
use crate::access::testing::web::{Reply, Web};

const BODY: &[u8] = b"0123456789abcdef";

fn failing(failures: usize, status: u16) -> Web {
    Web::start(move |request| {
        if request.before < failures {
            Reply::status(status)
        } else {
            Reply::object(request, BODY)
        }
    })
}

#[test]
fn tries_again_after_failures_that_pass() {
    for status in [500, 502, 503, 429, 408] {
        let web = failing(2, status);
        assert_eq!(
            read(&anything(), &web.url("/a.png")).unwrap(),
            BODY,
            "{status}"
        );
        assert_eq!(web.seen().len(), 3);
    }
}

#[test]
fn gives_up_in_the_end_and_at_once_where_it_is_hopeless() {
    let web = failing(usize::MAX, 500);
    let error = read(&anything(), &web.url("/a.png")).unwrap_err();
    assert!(matches!(error, AccessError::Remote { .. }), "{error}");
    assert!(error.to_string().contains("500"), "{error}");
    assert_eq!(web.seen().len(), 4);

    for (status, tries) in [(404, 1), (403, 1), (401, 1), (400, 1)] {
        let web = failing(usize::MAX, status);
        let error = read(&anything(), &web.url("/a.png")).unwrap_err();
        match (status, &error) {
            (404, AccessError::NotFound { .. })
            | (401 | 403, AccessError::Denied { .. })
            | (400, AccessError::Remote { .. }) => {}
            _ => panic!("{status}: {error}"),
        }
        assert_eq!(web.seen().len(), tries);
    }
}

#[test]
fn goes_on_where_an_answer_broke_off() {
    for etag in [Some("\"v1\""), None] {
        let web = Web::start(move |request| {
            let reply = Reply::object(request, BODY);
            let reply = match etag {
                Some(etag) => reply.header("ETag", etag),
                None => reply,
            };
            if request.before < 2 {
                reply.cut(5)
            } else {
                reply
            }
        });
        assert_eq!(
            read(&anything(), &web.url("/a.png")).unwrap(),
            BODY,
            "{etag:?}"
        );
    }
}

#[test]
fn never_takes_part_of_an_answer_for_the_whole() {
    let web = Web::start(|request| Reply::object(request, BODY).cut(5));
    let error = read(&anything(), &web.url("/a.png")).unwrap_err();
    assert!(
        matches!(error, AccessError::Remote { .. } | AccessError::Io { .. }),
        "{error}"
    );
    assert!(error.to_string().starts_with(&web.url("/a.png")), "{error}");

    // Five bytes at a time are enough for a reader, none at a time are not.
    let mut bytes = Vec::new();
    let object = anything().open(&place(&web.url("/a.tar"))).unwrap();
    object.reader(0).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, BODY);
    let stuck = Web::start(|request| Reply::object(request, BODY).cut(0));
    let object = anything().open(&place(&stuck.url("/a.tar"))).unwrap();
    object.reader(0).read_to_end(&mut bytes).unwrap_err();
}

#[test]
fn an_answer_of_another_length_is_an_error() {
    // Longer than the range that was asked for, in a chunked body that announces no length.
    let longer = Web::start(|request| {
        let range = request.range.map_or((0, 3), |range| range);
        Reply::status(206)
            .header(
                "Content-Range",
                &format!("bytes {}-{}/16", range.0, range.1),
            )
            .body(BODY)
    });
    let error = anything()
        .read(&place(&longer.url("/a")), Some(2..6))
        .unwrap_err();
    assert!(error.to_string().contains("announced"), "{error}");

    let other_range = Web::start(|_| {
        Reply::status(206)
            .header("Content-Range", "bytes 0-3/16")
            .body(&BODY[..4])
    });
    let error = anything().read(&place(&other_range.url("/a")), Some(2..6));
    assert!(
        matches!(error, Err(AccessError::Remote { .. })),
        "{error:?}"
    );

    let silent = Web::start(|request| Reply::object(request, BODY).announce(None));
    let error = read(&anything(), &silent.url("/a")).unwrap_err();
    assert!(
        error.to_string().to_lowercase().contains("content"),
        "{error}"
    );
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_it_is_read() {
    let web = Web::start(|request| Reply::object(request, BODY).announce(Some(1 << 40)));
    let error = read(&anything(), &web.url("/a")).unwrap_err();
    assert!(matches!(error, AccessError::TooLarge { .. }), "{error}");
    assert_eq!(web.seen().len(), 1);
}

#[test]
fn a_server_without_ranges_or_head_can_be_read_from_front_to_back() {
    let web = Web::start(|request| match &*request.method {
        "GET" => Reply::status(200).body(BODY),
        _ => Reply::status(405),
    });
    let object = anything().open(&place(&web.url("/a.jsonl"))).unwrap();
    assert_eq!(object.len(), 16);
    let mut bytes = Vec::new();
    object.reader(0).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, BODY);
    let error = object.read_at(3, 4).unwrap_err();
    assert!(error.to_string().contains("Range"), "{error}");
}

#[test]
fn a_silent_server_is_given_up() {
    let web = Web::start(|request| Reply::object(request, BODY).pause(Duration::from_secs(20)));
    let access = Access::new(AccessOptions {
        retries: 1,
        sample_timeout: Duration::from_secs(1),
        ..options()
    })
    .unwrap();
    let started = Instant::now();
    let error = read(&access, &web.url("/a.png")).unwrap_err();
    assert!(matches!(error, AccessError::Remote { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_object_that_changed_is_an_error() {
    // One server knows conditions, the other answers whatever is asked.
    for obeys in [true, false] {
        let web = Web::start(move |request| {
            let etag = if request.before == 0 {
                "\"v1\""
            } else {
                "\"v2\""
            };
            match &request.if_match {
                Some(expected) if obeys && expected != etag => Reply::status(412),
                _ => Reply::object(request, BODY).header("ETag", etag),
            }
        });
        let object = anything().open(&place(&web.url("/a.tar"))).unwrap();
        assert_eq!(object.stamp().etag.as_deref(), Some("v1"));
        let error = object.read_at(0, 4).unwrap_err();
        assert!(
            matches!(error, AccessError::Changed { .. }),
            "{obeys}: {error}"
        );
    }
}

#[test]
fn a_weak_mark_is_compared_and_not_sent() {
    let web = Web::start(|request| Reply::object(request, BODY).header("ETag", "W/\"v1\""));
    let object = anything().open(&place(&web.url("/a.tar"))).unwrap();
    assert_eq!(object.read_at(0, 4).unwrap(), b"0123");
    assert!(web.seen().iter().all(|request| request.if_match.is_none()));
}

#[test]
fn looks_see_files_only() {
    let web = Web::start(|request| match &*request.path {
        "/a.png" => Reply::object(request, BODY),
        _ => Reply::status(404),
    });
    assert!(matches!(
        anything().look(&place(&web.url("/a.png"))),
        Ok(Look::File(_))
    ));
    let absent = anything().look(&place(&web.url("/b/")));
    assert!(matches!(absent, Err(AccessError::NotFound { .. })));
    let mut visit = |_: crate::access::Listed<'_>| std::ops::ControlFlow::Continue(());
    let error = anything()
        .list(&place(&web.url("/b/")), &mut visit)
        .unwrap_err();
    assert!(matches!(error, AccessError::Refused { .. }), "{error}");
}

#[test]
fn queries_are_sent_and_never_shown() {
    let web = Web::start(|request| {
        if request.path == "/a%20b.png?X-Amz-Signature=SECRET&x=%2F" {
            Reply::object(request, BODY)
        } else {
            Reply::status(500).body(request.path.as_bytes())
        }
    });
    let url = web.url("/a%20b.png?X-Amz-Signature=SECRET&x=%2F");
    assert_eq!(read(&anything(), &url).unwrap(), BODY);
    let wrong = place(&web.url("/other.png?sig=SECRET"));
    let error = anything().read(&wrong, None).unwrap_err();
    for shown in [
        error.to_string(),
        format!("{error:?}"),
        format!("{wrong:?} {wrong}"),
    ] {
        assert!(!shown.contains("SECRET"), "{shown}");
        assert!(shown.contains("/other.png"), "{shown}");
    }
}

mod redirects {
    use super::*;

    fn to(target: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Web {
        Web::start(move |request| match target(&request.path) {
            Some(target) => Reply::status(302).header("Location", &target),
            None => Reply::object(request, BODY),
        })
    }

    #[test]
    fn on_the_same_host_are_followed() {
        let web = to(|path| (path == "/old.png").then(|| "/new.png".to_owned()));
        assert_eq!(read(&anything(), &web.url("/old.png")).unwrap(), BODY);
    }

    #[test]
    fn to_another_host_are_refused_at_once() {
        let other = Web::start(|request| Reply::object(request, b"stolen"));
        let port = other.port();
        for target in [
            format!("http://127.0.0.1:{port}/x"),
            format!("http://localhost:{port}/x"),
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            "https://example.org/x".to_owned(),
            "//example.org/x".to_owned(),
            "file:///etc/passwd".to_owned(),
        ] {
            let to_there = target.clone();
            let web = to(move |_| Some(to_there.clone()));
            let text = match read(&anything(), &web.url("/a.png?sig=SECRET")) {
                Err(error) => error.to_string(),
                Ok(bytes) => panic!("{target}: {bytes:?}"),
            };
            assert!(text.starts_with(&web.url("/a.png: ")), "{text}");
            assert!(!text.contains("SECRET"), "{text}");
            assert_eq!(web.seen().len(), 1, "{target}: {text}");
        }
        assert!(other.seen().is_empty());
    }

    #[test]
    fn without_end_are_bounded() {
        let web = to(|path| Some(format!("{path}x")));
        let text = refusal(read(&anything(), &web.url("/a")));
        assert!(text.contains("redirects"), "{text}");
        assert!(web.seen().len() < 10);
    }

    #[test]
    fn out_of_the_allowed_prefix_are_refused() {
        let web = to(|path| {
            path.starts_with("/public/")
                .then(|| "/private/key".to_owned())
        });
        let access = only(&[&web.url("/public/")]);
        let text = refusal(read(&access, &web.url("/public/a.png")));
        assert!(text.contains("/private/key"), "{text}");
        assert_eq!(web.seen().len(), 1);
    }
}

mod hosts {
    use super::*;

    #[test]
    fn on_this_machine_must_be_named() {
        let web = Web::start(|request| Reply::object(request, BODY));
        let port = web.port();
        let named = only(&[&format!("http://localhost:{port}/data/")]);
        let url = |host: &str, path: &str| format!("http://{host}:{port}{path}");
        assert_eq!(
            read(&named, &url("localhost", "/data/a.png")).unwrap(),
            BODY
        );
        for (host, path) in [
            ("localhost", "/database/a.png"),
            ("localhost", "/data/../private/a.png"),
            ("localhost", "/data/%2e%2e/private/a.png"),
            ("127.0.0.1", "/data/a.png"),
            ("[::1]", "/data/a.png"),
            ("localhost.", "/data/a.png"),
        ] {
            let text = refusal(read(&named, &url(host, path)));
            assert!(text.contains("sources.allow"), "{text}");
        }
        assert_eq!(web.seen().len(), 1);
    }

    #[test]
    fn of_metadata_services_are_refused_in_every_spelling() {
        for host in [
            "169.254.169.254",
            "169.254.169.254.",
            "2852039166",
            "0xa9fea9fe",
            "0xA9.0xFE.0xA9.0xFE",
            "0251.0376.0251.0376",
            "169.254.43518",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "100.100.100.200",
            "%31%36%39.254.169.254",
            "１６９.254.169.254",
        ] {
            let url = format!("http://{host}/latest/meta-data/");
            let text = refusal(read(&anything(), &url));
            assert!(text.contains("metadata"), "{host}: {text}");
        }
    }

    #[test]
    fn that_are_private_are_refused_where_a_prefix_covers_them_by_name_only() {
        // The name is public to the list, its address is not.
        let web = Web::start(|request| Reply::object(request, BODY));
        let access = only(&["https://example.org/"]);
        let text = refusal(read(&access, &web.url("/a.png")));
        assert!(text.contains("sources.allow"), "{text}");
        assert!(web.seen().is_empty());
    }
}
