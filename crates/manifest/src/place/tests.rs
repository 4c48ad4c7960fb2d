use proptest::prelude::*;

use super::*;

fn place(text: &str) -> Place {
    Place::parse(text).unwrap()
}

fn remote(text: &str) -> Remote {
    match place(text) {
        Place::Remote(remote) => remote,
        Place::Local(path) => panic!("{text} is {}", path.display()),
    }
}

fn refusal(text: &str) -> String {
    Place::parse(text).unwrap_err().to_string()
}

#[test]
fn reads_paths_and_urls() {
    for path in [
        "/data/a.tar",
        "data/a b.tar",
        "../x",
        "a:b",
        "://x",
        "1s3://x",
        "c:/x",
    ] {
        assert_eq!(place(path), Place::Local(path.into()));
    }
    assert_eq!(place("file:///a%20b/c"), Place::Local("/a b/c".into()));
    assert_eq!(place("file://localhost/a"), Place::Local("/a".into()));
    let s3 = remote("s3a://bucket/a b/50%/x#1?.tar");
    assert_eq!(
        (s3.scheme, &*s3.host, &*s3.key),
        (Scheme::S3, "bucket", "a b/50%/x#1?.tar")
    );
    let web = remote("HTTPS://Host.example:443/a%20b/%c3%bc.tar?X=%2F&y#part");
    assert_eq!(web.key, "a b/ü.tar");
    assert_eq!(
        (&*web.host, web.query.as_deref()),
        ("host.example", Some("X=%2F&y"))
    );
    assert_eq!(remote("http://h:8080/x").host, "h:8080");
    assert_eq!(
        remote("abfss://c@a.dfs.core.windows.net/x").host,
        "c@a.dfs.core.windows.net"
    );
    assert!(remote("gs://bucket").folder && remote("gs://bucket/x/").folder);
    assert!(!remote("az://bucket/x").folder);
}

#[test]
fn refuses_what_names_no_object() {
    for text in [
        "ftp://h/x",
        "s3://",
        "s3:///key",
        "s3://a@b/key",
        "s3://a:80/key",
        "s3://bucket/a//b",
        "s3://bucket/a/../b",
        "s3://bucket/./b",
        "s3://bucket/a\nb",
        "gs://bu cket/x",
        "az://a@b@c/x",
        "http://",
        "http://h/a%2Fb",
        "http://h/a/..%2Fb",
        "http://h/a%5Cb",
        "http://h/%00",
        "http://h/%ff",
        "https://h/a//b",
        "file://host/x",
    ] {
        let (scheme, _) = text.split_once("://").unwrap();
        let shown = refusal(text);
        assert!(shown.starts_with(scheme), "{text}: {shown}");
    }
}

#[test]
fn shows_no_secret() {
    for text in [
        "https://user:SECRET@h/x",
        "https://SECRET@h/x?sig=SECRET",
        "https://u:SECRET@h/a//b?sig=SECRET",
        "https://h:99999/x?sig=SECRET",
        "ftp://u:SECRET@h/x?sig=SECRET",
        "s3://host/x?X-Amz-Signature=SECRET",
        "s3://u:SECRET@host/x?a=b&X-Amz-Security-Token=SECRET",
        "gs://host?X-Goog-Credential=SECRET",
        "az://host/x?sv=1&sig=SECRET",
    ] {
        let shown = refusal(text);
        assert!(
            !shown.contains("SECRET") && shown.contains("://h"),
            "{shown}"
        );
        assert!(!redacted(text).contains("SECRET"));
    }
    let signed = place("https://h/x?sig=SECRET");
    assert_eq!(
        format!("{signed} {signed:?}"),
        "https://h/x Remote(https://h/x)"
    );
    for key in ["what?.png", "x?sign=1", "x?design=1&a", "sig=1"] {
        let text = format!("s3://b/{key}");
        assert_eq!(redacted(&text), text);
        assert_eq!(remote(&text).key, key);
    }
    assert_eq!(redacted("/a?b#c@d"), "/a?b#c@d");
}

#[test]
fn joins_what_a_list_names() {
    let folder = place("s3://b/sets/list.jsonl").parent();
    for (text, expected) in [
        ("a.png", "s3://b/sets/a.png"),
        ("./x//a b?.png", "s3://b/sets/x/a b?.png"),
        ("../up/a.png", "s3://b/up/a.png"),
        ("gs://c/a.png", "gs://c/a.png"),
        ("/abs/a.png", "/abs/a.png"),
    ] {
        assert_eq!(folder.join(text).unwrap().to_text(), expected);
    }
    assert!(folder.join("../../a.png").is_err());
    let web = place("https://h/d/list.csv?sig=1").parent();
    assert_eq!(
        web.join("a b#.png").unwrap().to_text(),
        "https://h/d/a%20b%23.png"
    );
    let local = place("/d/list.csv").parent();
    assert_eq!(
        local.join("../a.png").unwrap(),
        Place::Local("/d/../a.png".into())
    );
}

#[test]
fn knows_names_and_extensions() {
    for (text, name, extension) in [
        ("s3://b/a/x.TAR", "x.TAR", Some("tar")),
        ("https://h/x.tar.gz?y=z.png", "x.tar.gz", Some("gz")),
        ("/a/.hidden", ".hidden", None),
        ("s3://b", "", None),
        ("a/b", "b", None),
    ] {
        let place = place(text);
        assert_eq!(
            (&*place.file_name(), place.extension().as_deref()),
            (name, extension)
        );
    }
}

proptest! {
    #[test]
    fn text_gives_the_place_back(
        scheme in "s3|gs|az|http|https|file",
        key in "[a-z%#?&=+ ./üé\"<>|^{}\\[\\]~-]{0,24}",
        query in proptest::option::of("[a-z=&%/]{1,8}"),
    ) {
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        let host = if scheme == "file" { "" } else { "host" };
        if let Ok(place) = Place::parse(&format!("{scheme}://{host}/{key}{query}")) {
            prop_assert_eq!(Place::parse(&place.to_text()).unwrap(), place);
        }
    }

    #[test]
    fn no_text_is_a_panic_and_no_key_climbs(text in "(s3|https|file)://[a-z@:.%/?#\\\\0-9é-]{0,32}") {
        let _ = redacted(&text);
        if let Ok(Place::Remote(remote)) = Place::parse(&text) {
            prop_assert!(!remote.key.split('/').any(|part| part == ".." || part == "."));
            prop_assert!(!remote.key.starts_with('/') && !remote.key.ends_with('/'));
        }
    }

    #[test]
    fn joining_stays_in_the_bucket(text in "[a-z./ ]{0,24}") {
        prop_assume!(!text.starts_with('/'));
        if let Ok(Place::Remote(joined)) = place("s3://b/x/y/").join(&text) {
            prop_assert_eq!(joined.host, "b");
            prop_assert!(!joined.key.split('/').any(|part| part == ".."));
        }
    }
}
