//! What a server says about the model it runs: to its clients, to `inspect`, and to Prometheus.

use curriculum_tests::{
    Home, TestServer,
    calls::submission,
    command::{curriculum, curriculum_in},
    data,
    http::{get, parts},
};
use std::{
    io::Write,
    net::{TcpListener, TcpStream},
};

const CPU: &str = "CPUExecutionProvider";

#[tokio::test]
async fn the_live_provider_is_on_the_wire_and_in_the_metrics() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(20));
    server.publish(submission("c", &source, 2)).await;

    let extractor = server.curriculum("c").await.extractor.unwrap();
    assert_eq!(extractor.model, "dino_fashion");
    assert_eq!(extractor.execution_provider, "cpu");
    assert!(extractor.device_ids.is_empty());
    let nodes: Vec<_> = extractor.nodes_by_provider.into_iter().collect();
    let [(provider, count)] = nodes.as_slice() else {
        panic!("{nodes:?}");
    };
    assert!(provider == CPU && *count > 0, "{nodes:?}");

    let inspect = ["inspect", "c", "--json", "--server", server.url()];
    let shown = curriculum(inspect).await.json();
    assert_eq!(shown["extractor"]["execution_provider"], "cpu");
    assert_eq!(shown["extractor"]["nodes_by_provider"][CPU], *count);
    let shown = curriculum(["inspect", "c", "--server", server.url()]).await;
    let line = format!("extractor now   dino_fashion on cpu, {count} nodes on {CPU}");
    assert!(shown.stdout.lines().any(|shown| shown == line), "{shown:?}");

    let answer = get(&server.side_url("/metrics"));
    assert_eq!(answer.status, 200);
    let format = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(answer.headers.lines().any(|line| line == format));
    for line in [
        "curriculum_execution_provider{provider=\"cpu\",model=\"dino_fashion\"} 1".to_owned(),
        format!("curriculum_graph_nodes{{provider=\"{CPU}\"}} {count}"),
        "curriculum_ingest_samples_total{status=\"extracted\"} 20".to_owned(),
        "curriculum_batch_samples_sum 20".to_owned(),
    ] {
        assert!(
            answer.body.lines().any(|found| found == line),
            "{line}: {}",
            answer.body
        );
    }
}

/// A connection that is kept open without a request must not hold the server.
#[tokio::test]
async fn the_side_port_ends_with_the_server() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let url = server.side_url("/metrics");
    let mut silent = TcpStream::connect(parts(&url).0).unwrap();
    silent.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    server.terminate();
    assert!(server.exited().await.success());
}

#[tokio::test]
async fn side_addresses_that_cannot_be_used_are_refused() {
    let home = Home::new();
    let folder = home.path("");
    for command in ["serve", "check-config"] {
        let bad = curriculum_in(&folder, &[], [command, "--http-addr", "localhost:9090"]).await;
        bad.refused("`localhost:9090` is neither IP:PORT nor `off`");
        let variables = [("CURRICULUM__HTTP__ADDR", "localhost:9090")];
        let bad = curriculum_in(&folder, &variables, [command]).await;
        bad.refused("`localhost:9090` is neither IP:PORT nor `off`");
    }

    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let serve = ["serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", &taken];
    let refused = curriculum_in(&folder, &[], serve).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let reason = format!("cannot listen on {taken}: ");
    assert!(refused.stderr.contains(&reason), "{refused:?}");
    assert_eq!(
        refused.stderr.matches("(os error").count(),
        1,
        "{refused:?}"
    );
    assert!(refused.stdout.is_empty(), "{refused:?}");
}

#[tokio::test]
async fn the_side_port_is_a_setting() {
    let home = Home::new();
    let printed = curriculum(["check-config"]).await;
    assert!(
        printed.stdout.contains("addr = \"127.0.0.1:9090\""),
        "{printed:?}"
    );
    let variables = [("CURRICULUM__HTTP__ADDR", "off")];
    let printed = curriculum_in(&home.path(""), &variables, ["check-config"]).await;
    assert!(
        printed.stdout.contains("[http]\naddr = \"off\""),
        "{printed:?}"
    );
}
