//! What `/metrics` says, against the list for people and against the calls that were made.

use curriculum_proto::v1::{self, Order};
use curriculum_tests::{
    Home, PATIENCE, TestServer,
    calls::{submission, weights_of},
    data,
    http::get,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Instant,
};
use tonic::{Code, Request, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

const LIST: &str = "../deploy/metrics.md";

/// A metric of the list.
struct Listed {
    kind: String,
    labels: BTreeSet<String>,
    /// Whether it is there from the start.
    early: bool,
}

/// A scrape.
struct Scrape {
    text: String,
    kinds: BTreeMap<String, String>,
}

/// A line: name of the metric, what its name ends with if it is a part of a histogram, labels, value.
struct Series<'a> {
    name: &'a str,
    part: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    value: f64,
}

impl Scrape {
    fn of(server: &TestServer) -> Self {
        let text = get(&server.side_url("/metrics")).body;
        let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let kinds = kinds.map(|line| line.split_once(' ').unwrap());
        let kinds = kinds.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
        Self {
            kinds: kinds.collect(),
            text,
        }
    }

    fn series(&self) -> impl Iterator<Item = Series<'_>> {
        let lines = self.text.lines().filter(|line| !line.starts_with('#'));
        lines.filter(|line| !line.is_empty()).map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').unwrap().split(',');
            let labels = labels.filter_map(|label| label.split_once('='));
            let labels = labels.map(|(name, value)| (name, value.trim_matches('"')));
            let parts = ["_bucket", "_sum", "_count"].into_iter();
            let found = parts.map(|part| (name.strip_suffix(part), part));
            let found = found.filter_map(|(name, part)| Some((name?, part)));
            let mut found = found.filter(|(name, _)| self.kinds.contains_key(*name));
            let (name, part) = found.next().unwrap_or((name, ""));
            Series {
                name,
                part,
                labels: labels.collect(),
                value: value.parse().unwrap(),
            }
        })
    }

    /// The value of exactly this series.
    fn value(&self, series: &str) -> f64 {
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        let found = self.text.lines().find_map(value);
        found.unwrap_or_else(|| panic!("no {series} in {}", self.text))
    }
}

/// Scrapes until all series have these values: the end of an answer is counted a moment after its client
/// has it.
fn expect(server: &TestServer, expected: &[(&str, f64)]) -> Scrape {
    let begun = Instant::now();
    loop {
        let scrape = Scrape::of(server);
        let wrong = expected
            .iter()
            .find(|(series, value)| scrape.value(series) != *value);
        match wrong {
            None => return scrape,
            Some((series, value)) => assert!(
                begun.elapsed() < PATIENCE,
                "{series} is {} and not {value}",
                scrape.value(series)
            ),
        }
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

fn in_code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn list() -> BTreeMap<String, Listed> {
    let text = fs::read_to_string(LIST).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let mut listed = BTreeMap::new();
    for row in rows.clone().map(cells).filter(|cells| cells.len() == 4) {
        let metric = Listed {
            kind: row[1].to_owned(),
            labels: in_code(row[2]).map(str::to_owned).collect(),
            early: true,
        };
        listed.insert(row[0].trim_matches('`').to_owned(), metric);
    }
    for row in rows.map(cells).filter(|cells| cells.len() == 2) {
        for name in in_code(row[0]) {
            if let Some(metric) = listed.get_mut(name) {
                metric.early = false;
            }
        }
    }
    assert!(listed.len() > 25, "{}", listed.len());
    listed
}

#[tokio::test]
async fn the_list_and_a_fresh_server_agree() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    // The test has a connection of its own, which is counted a moment after it is there.
    let own = "curriculum_grpc_connections_total{outcome=\"accepted\"}";
    let (list, scrape) = (list(), expect(&server, &[(own, 1.0)]));
    for (name, kind) in &scrape.kinds {
        let listed = list
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not listed"));
        assert_eq!(*kind, listed.kind, "{name}");
    }
    for (name, _) in list.iter().filter(|(_, metric)| metric.early) {
        assert!(scrape.kinds.contains_key(name), "{name} is not there");
    }
    for series in scrape.series() {
        let listed = &list[series.name];
        let labels = series.labels.keys().filter(|label| **label != "le");
        let labels: BTreeSet<String> = labels.map(|label| (*label).to_owned()).collect();
        assert_eq!(labels, listed.labels, "{}", series.name);
        let moved = [
            "curriculum_store_flush_duration_seconds",
            "process_cpu_seconds_total",
        ];
        let own = match series.name {
            "curriculum_grpc_connections" => true,
            "curriculum_grpc_connections_total" => series.labels["outcome"] == "accepted",
            _ => false,
        };
        if own {
            assert_eq!(series.value, 1.0, "{}", series.name);
        } else if series.name.starts_with("curriculum_grpc_")
            || (scrape.kinds[series.name] != "gauge" && !moved.contains(&series.name))
        {
            assert_eq!(series.value, 0.0, "{}{}", series.name, series.part);
        }
    }
    let of = |name: &'static str| scrape.series().filter(move |series| series.name == name);
    let methods = of("curriculum_grpc_requests_in_flight").count();
    let per_method = of("curriculum_grpc_requests_total").count();
    assert_eq!((methods > 20, per_method), (true, methods * 17));
    let bounds = of("curriculum_grpc_request_duration_seconds");
    let bounds: BTreeSet<&str> = bounds
        .filter_map(|series| series.labels.get("le").copied())
        .collect();
    assert!(
        bounds.contains("0.0001") && bounds.contains("60"),
        "{bounds:?}"
    );
    for (series, value) in [
        ("curriculum_ready", 1.0),
        ("curriculum_model_ready", 1.0),
        (
            "curriculum_jobs{lane=\"extraction\",state=\"waiting\"}",
            0.0,
        ),
    ] {
        assert_eq!(scrape.value(series), value, "{series}");
    }
    assert!(scrape.value("process_resident_memory_bytes") > 1e6);
}

#[tokio::test]
async fn numbers_are_those_of_the_calls_that_were_made() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let source = home.path("images.tar");
    data::write_tar(&source, &data::images(20));
    server.publish(submission("c", &source, 2)).await;
    server.publish(submission("c", &source, 3)).await;
    let mut last = None;
    for iteration in [0, 40, 80] {
        last = Some(
            server
                .weights(weights_of("c", iteration, Order::EasyFirst))
                .await
                .unwrap(),
        );
    }
    for _ in 0..2 {
        let unknown = server
            .weights(weights_of("unknown", 0, Order::EasyFirst))
            .await;
        assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    }

    let method = "method=\"curriculum.v1.CurriculumService/GetWeights\"";
    let requests = |code| format!("curriculum_grpc_requests_total{{{method},code=\"{code}\"}}");
    let seconds = format!("curriculum_grpc_request_duration_seconds_count{{{method}}}");
    let in_flight = format!("curriculum_grpc_requests_in_flight{{{method}}}");
    let stage = |stage| format!("curriculum_job_stage_duration_seconds_count{{stage=\"{stage}\"}}");
    let samples = |status| format!("curriculum_ingest_samples_total{{status=\"{status}\"}}");
    let cache = |kind, outcome| {
        format!("curriculum_cache_requests_total{{kind=\"{kind}\",outcome=\"{outcome}\"}}")
    };
    let scrape = expect(
        &server,
        &[
            (&requests("OK"), 3.0),
            (&requests("NOT_FOUND"), 2.0),
            (&seconds, 5.0),
            (&in_flight, 0.0),
            ("curriculum_weights_compute_seconds_count", 3.0),
            (&cache("version", "miss"), 1.0),
            (&cache("version", "hit"), 2.0),
            (&cache("difficulty", "miss"), 1.0),
            (&cache("weights", "miss"), 3.0),
            (&samples("enumerated"), 40.0),
            (&samples("extracted"), 20.0),
            (&samples("reused"), 20.0),
            (&samples("failed"), 0.0),
            (&stage("enumerate"), 2.0),
            (&stage("extract"), 2.0),
            (&stage("cluster"), 2.0),
            (&stage("score"), 2.0),
            (&stage("publish"), 2.0),
            ("curriculum_jobs_ended_total{state=\"succeeded\"}", 2.0),
            (
                "curriculum_job_duration_seconds_count{state=\"succeeded\"}",
                2.0,
            ),
            ("curriculum_batch_samples_sum", 20.0),
            ("curriculum_kmeans_iterations_count", 2.0),
            ("curriculum_iteration{curriculum=\"c\"}", 80.0),
        ],
    );
    let entry = last.unwrap().entry();
    for (name, value) in [
        ("temperature", entry.temperature),
        ("effective_fraction", entry.effective_fraction),
    ] {
        let shown = scrape.value(&format!("curriculum_{name}{{curriculum=\"c\"}}"));
        assert_eq!(shown, value, "{name}");
    }
    for series in [
        "curriculum_kmeans_inertia",
        "curriculum_cache_bytes{cache=\"versions\"}",
        "curriculum_store_bytes{kind=\"records\"}",
        "curriculum_store_free_bytes",
        "curriculum_store_flush_duration_seconds_count",
        "curriculum_batch_duration_seconds_sum{step=\"session\"}",
    ] {
        assert!(scrape.value(series) > 0.0, "{series}");
    }
    let list = list();
    for name in scrape.kinds.keys() {
        assert!(list.contains_key(name), "{name} is not listed");
    }
}

#[tokio::test]
async fn names_that_clients_make_up_are_no_labels() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let before = Scrape::of(&server).series().count();
    let mut client = Grpc::new(server.channel());
    for number in 0..200 {
        let path = match number % 4 {
            0 => format!("/made.up.Service{number}/Call"),
            1 => format!("/curriculum.v1.CurriculumService/Call{number}"),
            2 => format!("/curriculum.v1.CurriculumService/GetWeights/{number}"),
            _ => format!("/%22%7d{number}/%0a"),
        };
        client.ready().await.unwrap();
        let codec: ProstCodec<v1::ListCurriculaRequest, v1::ListCurriculaResponse> =
            ProstCodec::default();
        let path = PathAndQuery::try_from(path).unwrap();
        let request = Request::new(v1::ListCurriculaRequest::default());
        let refused = client.unary(request, path, codec).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
        let unknown = weights_of(&format!("made-up-{number}"), 0, Order::EasyFirst);
        server.weights(unknown).await.unwrap_err();
    }
    let other = "curriculum_grpc_requests_total{method=\"other\",code=\"UNIMPLEMENTED\"}";
    let after = expect(&server, &[(other, 200.0)]);
    assert_eq!(after.series().count(), before);
}
