//! Google's and Azure's stores by the requests that they get, and where credentials come from.

use std::ops::ControlFlow;

use super::*;
use crate::access::Look;
use crate::access::testing::s3::{ACCESS_KEY, S3, SECRET_KEY};
use crate::access::testing::web::{Reply, Request, Web};

const BODY: &[u8] = b"0123456789abcdef";

fn access(settings: &[(&str, &str)]) -> Access {
    Access::new(AccessOptions {
        settings: settings.iter().copied().collect(),
        ..options()
    })
    .unwrap()
}

fn object(request: &Request) -> Reply {
    Reply::object(request, BODY)
        .header("ETag", "\"v1\"")
        .header("Last-Modified", "Wed, 25 Nov 2026 12:00:00 GMT")
}

fn names(access: &Access, folder: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut visit = |listed: crate::access::Listed<'_>| {
        assert_eq!(
            (listed.stamp.size, listed.stamp.etag.as_deref()),
            (Some(16), Some("v1"))
        );
        names.push(listed.relative.to_owned());
        ControlFlow::Continue(())
    };
    access.list(&place(folder), &mut visit).unwrap();
    names
}

/// What all stores must do, given one object, `set/a b.png`, in a bucket or container of the name `data`.
fn check(access: &Access, scheme: &str) {
    let at = |key: &str| format!("{scheme}://data/{key}");
    assert_eq!(read(access, &at("set/a b.png")).unwrap(), BODY);
    let part = access.read(&place(&at("set/a b.png")), Some(3..7)).unwrap();
    assert_eq!(part, b"3456");
    assert_eq!(names(access, &at("set/")), ["a b.png"]);
    assert_eq!(access.look(&place(&at("set"))).unwrap(), Look::Folder);
    let Look::File(stamp) = access.look(&place(&at("set/a b.png"))).unwrap() else {
        panic!("not a file");
    };
    assert_eq!((stamp.size, stamp.etag.as_deref()), (Some(16), Some("v1")));
    let absent = read(access, &at("set/b.png")).unwrap_err();
    assert!(matches!(absent, AccessError::NotFound { .. }), "{absent}");
}

#[test]
fn google() {
    let web = Web::start(|request| match &*request.path {
        "/data/set%2Fa%20b%2Epng" => object(request),
        path if path.starts_with("/data?") || path.starts_with("/data/?") => {
            let listing = if path.contains("prefix=set%2F") || path.contains("prefix=set/") {
                "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>set/a b.png</Key>\
                 <LastModified>2026-11-25T12:00:00.000Z</LastModified><ETag>\"v1\"</ETag>\
                 <Size>16</Size></Contents></ListBucketResult>"
            } else {
                "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
            };
            Reply::status(200).body(listing.as_bytes())
        }
        _ => Reply::status(404),
    });
    let endpoint = web.url("");
    let access = access(&[
        ("GOOGLE_BASE_URL", &*endpoint),
        ("GOOGLE_SKIP_SIGNATURE", "true"),
        ("GOOGLE_ALLOW_HTTP", "true"),
    ]);
    check(&access, "gs");
}

fn azure_server() -> Web {
    Web::start(|request| match &*request.path {
        "/data/set/a%20b.png" => object(request).header("x-ms-blob-type", "BlockBlob"),
        path if path.contains("comp=list") => {
            let blob = if path.contains("prefix=set%2F") || path.contains("prefix=set/") {
                "<Blob><Name>set/a b.png</Name><Properties>\
                 <Last-Modified>Wed, 25 Nov 2026 12:00:00 GMT</Last-Modified><Etag>v1</Etag>\
                 <Content-Length>16</Content-Length><Content-Type>image/png</Content-Type>\
                 </Properties></Blob>"
            } else {
                ""
            };
            let listing = format!(
                "<EnumerationResults><Blobs>{blob}</Blobs><NextMarker /></EnumerationResults>"
            );
            Reply::status(200).body(listing.as_bytes())
        }
        _ => Reply::status(404),
    })
}

#[test]
fn azure() {
    let endpoint = azure_server().url("");
    let access = access(&[
        ("AZURE_STORAGE_ENDPOINT", &*endpoint),
        ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
        ("AZURE_SKIP_SIGNATURE", "true"),
        ("AZURE_ALLOW_HTTP", "true"),
    ]);
    check(&access, "az");
    check(&access, "abfs");
}

#[test]
fn azure_accounts_lie_in_the_vendors_domains() {
    let access = access(&[("AZURE_SKIP_SIGNATURE", "true")]);
    for host in [
        "data@account.evil.example",
        "data@169.254.169.254",
        "data@account.blob.core.windows.net.evil.example",
    ] {
        let text = format!("abfss://{host}/x.png");
        let error = read(&access, &text).unwrap_err();
        assert!(matches!(error, AccessError::Remote { .. }), "{error}");
    }
}

#[test]
fn credentials_of_a_machines_role_are_found() {
    let s3 = S3::start();
    s3.put("data", "x.png", BODY);
    let role = "/latest/meta-data/iam/security-credentials/";
    let metadata = Web::start(move |request| match (&*request.method, &*request.path) {
        ("PUT", "/latest/api/token") => Reply::status(200).body(b"a-token"),
        ("GET", path) if path == role => Reply::status(200).body(b"the-role"),
        ("GET", path) if path.ends_with("/the-role") => Reply::status(200).body(
            format!(
                r#"{{"AccessKeyId":"{ACCESS_KEY}","SecretAccessKey":"{SECRET_KEY}","Token":"t",
                    "Expiration":"2999-01-01T00:00:00Z","Code":"Success","Type":"AWS-HMAC",
                    "LastUpdated":"2026-11-25T12:00:00Z"}}"#
            )
            .as_bytes(),
        ),
        _ => Reply::status(404),
    });
    let access = access(&[
        ("AWS_ENDPOINT_URL", &*s3.endpoint()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_METADATA_ENDPOINT", &*metadata.url("")),
    ]);
    assert_eq!(read(&access, "s3://data/x.png").unwrap(), BODY);
    assert!(metadata.seen().len() >= 3);
}
