//! Encryption, both ways, and certificates that change while calls run.

use curriculum_proto::v1::{self, curriculum_service_client::CurriculumServiceClient};
use curriculum_tests::{
    Home, Launch, PATIENCE, TestServer,
    certificates::{Authority, Issued},
    command::{curriculum, curriculum_in},
    frames::Frames,
    http, limits,
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tonic::{
    Status,
    transport::{Certificate, Channel, ClientTlsConfig},
};

/// The usual settings, with certificates in the server's own folder.
const ENCRYPTED: &str =
    "[model]\nthreads = 1\n[tls]\ncert_file = \"tls.crt\"\nkey_file = \"tls.key\"\n";

/// As [`ENCRYPTED`], and clients must have a certificate.
const MUTUAL: &str = "[model]\nthreads = 1\n[tls]\ncert_file = \"tls.crt\"\nkey_file = \"tls.key\"\n\
    client_ca_file = \"ca.crt\"\n";

/// Between two looks at something that comes about within seconds.
const SOON: Duration = Duration::from_millis(50);

async fn launch(home: &Home, settings: &str, tls: &ClientTlsConfig) -> TestServer {
    let launch = Launch {
        settings,
        tls: Some(tls),
        ..Launch::default()
    };
    TestServer::launch(home, launch).await
}

async fn list(channel: Channel) -> Result<usize, Status> {
    let mut client = CurriculumServiceClient::new(channel);
    let answer = client.list_curricula(v1::ListCurriculaRequest::default());
    Ok(answer.await?.into_inner().curricula.len())
}

/// Whether a new connection answers a call.
async fn answers(server: &TestServer, tls: Option<&ClientTlsConfig>) -> bool {
    match server.connect(tls).await {
        Ok(channel) => list(channel).await.is_ok(),
        Err(_) => false,
    }
}

/// Waits until `reached` holds.
async fn eventually(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !reached().await {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(SOON).await;
    }
}

#[tokio::test]
async fn only_clients_that_trust_the_authority_are_served() {
    let home = Home::new();
    let authority = Authority::new();
    authority.issue().write(&home.path(""));
    let server = launch(&home, ENCRYPTED, &authority.trusted()).await;
    assert!(server.url().starts_with("https://"), "{}", server.url());
    assert_eq!(list(server.channel()).await.unwrap(), 0);
    assert!(!answers(&server, Some(&Authority::new().trusted())).await);

    // Plain text is not taken for anything.
    let mut plain = Frames::connect(&server.url().replace("https", "http"));
    plain.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    plain.read_to_end();
    assert_eq!(list(server.channel()).await.unwrap(), 0);
}

#[tokio::test]
async fn clients_must_have_a_good_certificate_where_one_is_asked_for() {
    let home = Home::new();
    let (authority, clients) = (Authority::new(), Authority::new());
    authority.issue().write(&home.path(""));
    fs::write(home.path("ca.crt"), clients.pem()).unwrap();
    let with = |issued: &Issued| authority.trusted().identity(issued.identity());
    let good = with(&clients.issue());
    let server = launch(&home, MUTUAL, &good).await;
    assert_eq!(list(server.channel()).await.unwrap(), 0);

    for (what, tls) in [
        ("no certificate", authority.trusted()),
        ("another authority's", with(&authority.issue())),
        ("expired", with(&clients.issue_expired())),
    ] {
        assert!(!answers(&server, Some(&tls)).await, "{what}");
    }
    assert!(answers(&server, Some(&good)).await);
    let log = server.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("connections failed"));
    assert_eq!(lines.count(), 1, "one line for all of them: {log}");
}

/// A connection does not outlive what it was opened with: a certificate's time, or trust in its authority.
#[tokio::test]
async fn connections_end_with_their_clients_certificates() {
    let home = Home::new();
    let (authority, clients) = (Authority::new(), Authority::new());
    authority.issue().write(&home.path(""));
    fs::write(home.path("ca.crt"), clients.pem()).unwrap();
    let with = |issued: &Issued| authority.trusted().identity(issued.identity());
    let server = launch(&home, MUTUAL, &with(&clients.issue())).await;
    let end = Instant::now() + PATIENCE;
    let brief = loop {
        // A machine that stalls may let it expire before it was used.
        let brief = with(&clients.issue_for(Duration::from_secs(5)));
        if let Ok(channel) = server.connect(Some(&brief)).await
            && list(channel.clone()).await.is_ok()
        {
            break channel;
        }
        assert!(Instant::now() < end, "never connected");
    };
    let is_over = async || list(brief.clone()).await.is_err();
    eventually("the certificate's time is over", is_over).await;
    list(server.channel()).await.unwrap();

    fs::write(home.path("ca.crt"), Authority::new().pem()).unwrap();
    let is_over = async || list(server.channel()).await.is_err();
    eventually("the authority is trusted no more", is_over).await;
}

/// Calls on old and new connections while the certificate changes, and the authority with it.
#[tokio::test]
async fn certificates_are_replaced_under_load_without_a_failed_call() {
    let home = Home::new();
    let (old, new) = (Authority::new(), Authority::new());
    mount(&home.path(""), "first", &old.issue());
    for file in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{file}"), home.path(file)).unwrap();
    }
    let server = Arc::new(launch(&home, ENCRYPTED, &old.trusted()).await);
    let both =
        ClientTlsConfig::new().ca_certificates([old.pem(), new.pem()].map(Certificate::from_pem));

    let (stop, calls) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut clients = JoinSet::new();
    for fresh in [false, true, false, true] {
        let (server, both) = (Arc::clone(&server), both.clone());
        let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
        clients.spawn(async move {
            let mut channel = server.connect(Some(&both)).await.unwrap();
            while !stop.load(Ordering::Relaxed) {
                if fresh {
                    channel = server.connect(Some(&both)).await.unwrap();
                }
                list(channel.clone()).await.unwrap();
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let more = async |count: u64| {
        let enough = calls.load(Ordering::Relaxed) + count;
        let reached = async || calls.load(Ordering::Relaxed) >= enough || clients.is_empty();
        eventually("calls", reached).await;
    };
    more(20).await;
    assert!(!answers(&server, Some(&new.trusted())).await);
    mount(&home.path(""), "second", &new.issue());
    eventually("the new certificate", async || {
        answers(&server, Some(&new.trusted())).await
    })
    .await;
    assert!(!answers(&server, Some(&old.trusted())).await);
    more(20).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    // A connection from before lives on.
    list(server.channel()).await.unwrap();
}

/// Swaps the link that `tls.crt` and `tls.key` lead through, as Kubernetes does with a secret.
fn mount(folder: &Path, version: &str, issued: &Issued) {
    fs::create_dir(folder.join(version)).unwrap();
    issued.write(&folder.join(version));
    symlink(version, folder.join("..tmp")).unwrap();
    fs::rename(folder.join("..tmp"), folder.join("..data")).unwrap();
}

#[tokio::test]
async fn a_bad_new_file_changes_nothing_and_is_said() {
    let home = Home::new();
    let (old, new) = (Authority::new(), Authority::new());
    old.issue().write(&home.path(""));
    let server = launch(&home, ENCRYPTED, &old.trusted()).await;
    let replacement = new.issue();
    for (bad, reason) in [
        ("no certificate", "tls.crt: holds no certificate"),
        // Its key is still the old one's.
        (replacement.certificate.as_str(), "tls.crt: with its key"),
    ] {
        fs::write(home.path("tls.crt"), bad).unwrap();
        eventually(reason, async || server.log().contains(reason)).await;
        assert!(answers(&server, Some(&old.trusted())).await, "{reason}");
    }
    fs::write(home.path("tls.key"), &replacement.key).unwrap();
    eventually("the new certificate", async || {
        answers(&server, Some(&new.trusted())).await
    })
    .await;
    assert!(server.log().contains("new certificates in use"));
    let metrics = http::get(&server.side_url("/metrics")).body;
    for line in [
        "curriculum_reloads_total{what=\"certificates\",outcome=\"refused\"} 2",
        "curriculum_reloads_total{what=\"certificates\",outcome=\"taken\"} 1",
        // The tests' certificates are good until the year 4096.
        "curriculum_tls_certificate_expiry_timestamp_seconds 67090118400",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }
}

#[tokio::test]
async fn bad_files_at_the_start_are_refused() {
    let home = Home::new();
    let (authority, other) = (Authority::new(), Authority::new());
    authority.issue().write(&home.path(""));
    fs::write(home.path("empty"), "").unwrap();
    fs::write(home.path("other.key"), other.issue().key).unwrap();
    let serve = ["serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "off"];
    for (cert, key, ca, reason) in [
        ("absent", "tls.key", None, "cannot read absent: "),
        (
            "empty",
            "tls.key",
            None,
            "empty: holds no certificate in PEM",
        ),
        (
            "tls.crt",
            "empty",
            None,
            "empty: holds no private key in PEM",
        ),
        ("tls.crt", "other.key", None, "tls.crt: with its key: "),
        (
            "tls.crt",
            "tls.key",
            Some("empty"),
            "empty: holds no certificate in PEM",
        ),
    ] {
        let mut arguments = serve.to_vec();
        arguments.extend(["--tls-cert-file", cert, "--tls-key-file", key]);
        if let Some(ca) = ca {
            arguments.extend(["--tls-client-ca-file", ca]);
        }
        let refused = curriculum_in(&home.path(""), &[], arguments).await;
        assert_eq!(refused.code, Some(2), "{reason}: {refused:?}");
        assert!(refused.stderr.contains(reason), "{reason}: {refused:?}");
        assert!(refused.stdout.is_empty(), "{refused:?}");
    }
    let half = [&serve[..], &["--tls-cert-file", "tls.crt"]].concat();
    let refused = curriculum_in(&home.path(""), &[], half).await;
    refused.refused("tls.key_file is not set, and tls.cert_file needs it");
}

/// More silent clients than handshakes may be under way.
#[tokio::test]
async fn silent_clients_hold_nobody() {
    let home = Home::new();
    let authority = Authority::new();
    authority.issue().write(&home.path(""));
    let settings = format!("{ENCRYPTED}[grpc]\nhandshake_seconds = 5\n");
    let server = launch(&home, &settings, &authority.trusted()).await;
    let count = if limits::open_files() >= 4_096 {
        1_500
    } else {
        300
    };
    let mut silent: Vec<_> = (0..count).map(|_| Frames::connect(server.url())).collect();
    assert!(answers(&server, Some(&authority.trusted())).await);
    for client in &mut silent {
        assert_eq!(client.read_to_end(), 0);
    }
    assert!(answers(&server, Some(&authority.trusted())).await);
}

#[tokio::test]
async fn the_command_line_speaks_tls() {
    let home = Home::new();
    let (authority, clients) = (Authority::new(), Authority::new());
    authority.issue().write(&home.path(""));
    fs::write(home.path("ca.crt"), clients.pem()).unwrap();
    fs::write(home.path("server-ca.crt"), authority.pem()).unwrap();
    let client = clients.issue();
    fs::create_dir(home.path("client")).unwrap();
    client.write(&home.path("client"));
    let trusted = authority.trusted().identity(client.identity());
    let server = launch(&home, MUTUAL, &trusted).await;

    let jobs = ["jobs", "--json", "--server", server.url()];
    let (ca, cert, key) = ("server-ca.crt", "client/tls.crt", "client/tls.key");
    let flags = [
        "--tls-ca-file",
        ca,
        "--tls-cert-file",
        cert,
        "--tls-key-file",
        key,
    ];
    let listed = curriculum_in(&home.path(""), &[], [&jobs[..], &flags].concat()).await;
    assert_eq!(listed.json(), serde_json::json!([]));
    let variables = [
        ("CURRICULUM_TLS_CA", ca),
        ("CURRICULUM_TLS_CERT", cert),
        ("CURRICULUM_TLS_KEY", key),
    ];
    let listed = curriculum_in(&home.path(""), &variables, jobs).await;
    assert_eq!(listed.json(), serde_json::json!([]));

    let bare = server.url().trim_start_matches("https://");
    let jobs_at = |url| ["jobs", "--json", "--server", url];
    let listed = curriculum_in(&home.path(""), &variables, jobs_at(bare)).await;
    assert_eq!(listed.json(), serde_json::json!([]));
    // A server that hangs up is first noticed by the connection or by the call.
    let said = ["cannot reach", "does it ask for a certificate"];
    let anonymous = [&jobs[..], &flags[..2]].concat();
    let anonymous = curriculum_in(&home.path(""), &[], anonymous).await;
    let plain = curriculum(jobs_at(bare)).await;
    for refused in [anonymous, plain] {
        assert_eq!(refused.code, Some(5), "{refused:?}");
        let names = |text: &&str| refused.stderr.contains(*text);
        assert!(said.iter().any(names), "{refused:?}");
    }

    let untrusted = curriculum(jobs).await;
    assert_eq!(untrusted.code, Some(5), "{untrusted:?}");
    assert!(untrusted.stderr.contains("certificate"), "{untrusted:?}");
    let absent = [&jobs[..], &["--tls-ca-file", "absent.crt"]].concat();
    let absent = curriculum_in(&home.path(""), &[], absent).await;
    absent.refused("--tls-ca-file: cannot read absent.crt");
    let half = [&jobs[..], &["--tls-cert-file", cert]].concat();
    curriculum_in(&home.path(""), &[], half)
        .await
        .refused("--tls-key-file");
}
