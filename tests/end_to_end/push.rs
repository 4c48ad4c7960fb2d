//! Samples that live in the client's process: streams that break, repeat, skip and lie.

use crc32fast::Hasher;
use curriculum_proto::v1::{
    self, FeatureRows, ImageSample, ImageSamples, JobState, PushEnd, PushFeaturesRequest,
    PushHeader, PushImagesRequest, PushResponse, SubmitJobRequest,
    push_features_request::Part as FeaturesPart, push_images_request::Part as ImagesPart,
};
use curriculum_tests::{
    Home, Launch, PATIENCE, TestServer,
    calls::{parameters, submission},
    data,
};
use std::{fs, path::Path};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Length of the vectors.
const DIMENSION: usize = 8;

/// Feature vectors `from..to` of one dataset.
fn rows(from: u64, to: u64) -> FeatureRows {
    let ids: Vec<_> = (from..to).map(|index| format!("row-{index}")).collect();
    let value = |index: u64, column: usize| ((index * 31 + column as u64 * 7) % 97) as f32 / 97.0;
    let values: Vec<u8> = (from..to)
        .flat_map(|index| (0..DIMENSION).map(move |column| value(index, column)))
        .flat_map(f32::to_le_bytes)
        .collect();
    let mut hasher = Hasher::new();
    for id in &ids {
        framed(&mut hasher, id.as_bytes());
        framed(&mut hasher, b"");
    }
    hasher.update(&values);
    FeatureRows {
        offset: from,
        ids,
        labels: Vec::new(),
        values,
        crc32: hasher.finalize(),
    }
}

fn framed(hasher: &mut Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u32).to_le_bytes());
    hasher.update(part);
}

fn header(push: &str, dimension: usize) -> PushHeader {
    PushHeader {
        push: push.to_owned(),
        dimension: dimension as u32,
        fingerprint: "rows".to_owned(),
    }
}

fn feature_parts(
    push: &str,
    rows: impl IntoIterator<Item = FeatureRows>,
    end: Option<u64>,
) -> Vec<PushFeaturesRequest> {
    let header = FeaturesPart::Header(header(push, DIMENSION));
    let rows = rows.into_iter().map(FeaturesPart::Rows);
    let end = end.map(|samples| FeaturesPart::End(PushEnd { samples }));
    let parts = std::iter::once(header).chain(rows).chain(end);
    parts
        .map(|part| PushFeaturesRequest { part: Some(part) })
        .collect()
}

async fn push_features(
    server: &TestServer,
    messages: Vec<PushFeaturesRequest>,
) -> Result<PushResponse, Status> {
    let messages = tokio_stream::iter(messages);
    Ok(server.ingest().push_features(messages).await?.into_inner())
}

async fn state(server: &TestServer, push: &str) -> Result<PushResponse, Status> {
    let push = push.to_owned();
    let request = v1::GetPushRequest { push };
    Ok(server.ingest().get_push(request).await?.into_inner())
}

#[tokio::test]
async fn a_push_is_resumed_where_it_was_durable() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    assert_eq!(
        state(&server, "p").await.unwrap_err().code(),
        Code::NotFound
    );
    let first = feature_parts("p", [rows(0, 100), rows(100, 200)], None);
    let answer = push_features(&server, first).await.unwrap();
    assert_eq!((answer.samples, answer.complete), (200, false));
    assert_eq!((answer.last_id.as_str(), answer.dimension), ("row-199", 8));

    // Killed in the middle of a stream: what was not durable is cut, and nothing else.
    let (sender, receiver) = mpsc::channel(1);
    let mut client = server.ingest();
    let call = tokio::spawn(async move {
        let answer = client.push_features(ReceiverStream::new(receiver)).await;
        answer.unwrap_err()
    });
    for message in feature_parts("p", [rows(200, 300), rows(300, 310)], None) {
        sender.send(message).await.unwrap();
    }
    server.kill().await;
    timeout(PATIENCE, call).await.unwrap().unwrap();
    let server = TestServer::start(&home).await;
    let durable = state(&server, "p").await.unwrap().samples;
    assert!((200..=310).contains(&durable), "{durable}");

    // Sending again from before that point changes nothing of what is there.
    let rest = feature_parts("p", [rows(150, 250), rows(250, 400)], Some(400));
    let answer = push_features(&server, rest).await.unwrap();
    assert_eq!((answer.samples, answer.complete), (400, true));
    assert_eq!(
        (answer.source.as_str(), answer.bytes),
        ("pushed:p", 400 * 32)
    );
    let folder = home.data().join("pushed/p");
    assert_eq!(
        fs::read(folder.join("samples.bin")).unwrap(),
        rows(0, 400).values
    );
    let manifest = fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    for (index, line) in manifest.lines().enumerate() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["id"], format!("row-{index}"));
        assert_eq!(
            (&row["offset"], &row["length"]),
            (&(index * 32).into(), &32.into())
        );
    }
    assert_eq!(manifest.lines().count(), 400);

    // Finishing twice is what a client does that did not hear the first answer.
    let again = feature_parts("p", [rows(390, 400)], Some(400));
    assert_eq!(push_features(&server, again).await.unwrap(), answer);
    let more = feature_parts("p", [rows(400, 401)], None);
    let refused = push_features(&server, more).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
}

#[tokio::test]
async fn streams_that_lie_are_refused_and_what_came_before_stays() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let mut flipped = rows(10, 20);
    flipped.values[3] ^= 1;
    let mut short = rows(10, 20);
    short.labels.push("one".to_owned());
    let cases = [
        (
            vec![rows(0, 10), rows(11, 20)],
            None,
            Code::OutOfRange,
            "10",
        ),
        (vec![rows(0, 10), flipped], None, Code::DataLoss, "from 10"),
        (
            vec![rows(0, 10), short],
            None,
            Code::InvalidArgument,
            "rows.labels",
        ),
        (vec![rows(0, 10)], Some(11), Code::InvalidArgument, "10"),
    ];
    for (number, (parts, end, code, named)) in cases.into_iter().enumerate() {
        let push = format!("p{number}");
        let error = push_features(&server, feature_parts(&push, parts, end)).await;
        let error = error.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(named), "{named}: {error}");
        // The call that failed may still be closing the push.
        let after = feature_parts(&push, [rows(5, 10)], None);
        let kept = timeout(PATIENCE, async {
            loop {
                match push_features(&server, after.clone()).await {
                    Err(busy) if busy.code() == Code::Aborted => tokio::task::yield_now().await,
                    answer => return answer,
                }
            }
        });
        assert_eq!(kept.await.unwrap().unwrap().samples, 10, "{push}");
    }
    let no_header = vec![PushFeaturesRequest {
        part: Some(FeaturesPart::Rows(rows(0, 1))),
    }];
    let error = push_features(&server, no_header).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    for (name, dimension, field) in [("../p", 8, "push"), ("p", 0, "dimension")] {
        let part = FeaturesPart::Header(header(name, dimension));
        let error = push_features(&server, vec![PushFeaturesRequest { part: Some(part) }]).await;
        let error = error.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.message().contains("must be"), "{field}: {error}");
    }
}

#[tokio::test]
async fn one_client_writes_a_push_and_one_kind_is_in_it() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let (sender, receiver) = mpsc::channel(1);
    let mut client = server.ingest();
    let call = tokio::spawn(async move {
        let answer = client.push_images(ReceiverStream::new(receiver)).await;
        answer.unwrap().into_inner()
    });
    let image = data::images(1).remove(0);
    let mut hasher = Hasher::new();
    for part in [b"a.png".as_slice(), b"", &image.bytes] {
        framed(&mut hasher, part);
    }
    let sample = ImageSample {
        id: "a.png".to_owned(),
        label: String::new(),
        image: image.bytes.clone(),
    };
    let parts = [
        ImagesPart::Header(header("p", 0)),
        ImagesPart::Samples(ImageSamples {
            offset: 0,
            samples: vec![sample],
            crc32: hasher.finalize(),
        }),
    ];
    for part in parts {
        let message = PushImagesRequest { part: Some(part) };
        sender.send(message).await.unwrap();
    }
    // Once the push is there, its writer holds it.
    let path = home.data().join("pushed/p/STATE");
    timeout(PATIENCE, async {
        while !path.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let busy = push_features(&server, feature_parts("p", [rows(0, 1)], None)).await;
    assert_eq!(busy.unwrap_err().code(), Code::Aborted);
    let end = ImagesPart::End(PushEnd { samples: 1 });
    sender
        .send(PushImagesRequest { part: Some(end) })
        .await
        .unwrap();
    let answer = timeout(PATIENCE, call).await.unwrap().unwrap();
    assert_eq!(
        (answer.samples, answer.complete, answer.dimension),
        (1, true, 0)
    );
    assert_eq!(answer.bytes, image.bytes.len() as u64);
    let other = push_features(&server, feature_parts("p", [rows(0, 1)], None)).await;
    assert_eq!(other.unwrap_err().code(), Code::FailedPrecondition);
}

/// A client with much to send must not hold up a server that stops.
#[tokio::test]
async fn a_stopping_server_sends_pushes_away() {
    let home = Home::new();
    let launch = Launch {
        settings: "[model]\nthreads = 1\n[grpc]\ndrain_seconds = 3600\n",
        ..Launch::default()
    };
    let server = TestServer::launch(&home, launch).await;
    let (sender, receiver) = mpsc::channel(1);
    let mut client = server.ingest();
    let call =
        tokio::spawn(async move { client.push_features(ReceiverStream::new(receiver)).await });
    for message in feature_parts("p", [rows(0, 50)], None) {
        sender.send(message).await.unwrap();
    }
    let path = home.data().join("pushed/p/samples.bin");
    timeout(PATIENCE, async {
        while fs::metadata(&path).map_or(0, |file| file.len()) < 50 * 32 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    // One that has not even said its name.
    let (_sender, receiver) = mpsc::channel(1);
    let mut client = server.ingest();
    let silent =
        tokio::spawn(async move { client.push_features(ReceiverStream::new(receiver)).await });
    server
        .ingest()
        .get_push(v1::GetPushRequest {
            push: "p".to_owned(),
        })
        .await
        .unwrap();
    let stopping = Instant::now();
    server.terminate();
    for (call, code) in [(call, Code::Unavailable), (silent, Code::DeadlineExceeded)] {
        let ended = timeout(PATIENCE, call).await.unwrap().unwrap();
        assert_eq!(ended.unwrap_err().code(), code);
    }
    assert!(server.exited().await.success());
    // The time to drain is an hour.
    assert!(stopping.elapsed() < PATIENCE);
    let server = TestServer::start(&home).await;
    assert_eq!(state(&server, "p").await.unwrap().samples, 50);
}

/// Clients that open a push and say nothing leave room for other calls.
#[tokio::test]
async fn silent_pushes_do_not_keep_others_out() {
    let home = Home::new();
    let launch = Launch {
        settings: "[model]\nthreads = 1\n[grpc]\nmax_concurrent_requests = 8\n",
        ..Launch::default()
    };
    let server = TestServer::launch(&home, launch).await;
    let mut silent = Vec::new();
    for push in ["a", "b"] {
        let (sender, receiver) = mpsc::channel(1);
        let mut client = server.ingest();
        let call =
            tokio::spawn(async move { client.push_features(ReceiverStream::new(receiver)).await });
        let header = FeaturesPart::Header(header(push, DIMENSION));
        let message = PushFeaturesRequest { part: Some(header) };
        sender.send(message).await.unwrap();
        let path = home.data().join("pushed").join(push).join("STATE");
        timeout(PATIENCE, async {
            while !path.exists() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        silent.push((sender, call));
    }
    let refused = push_features(&server, feature_parts("c", [rows(0, 1)], None)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("pushes"), "{refused}");
    assert!(refused.get_details_retry_info().is_some(), "{refused:?}");
    let mut others = server.ingest();
    others
        .list_jobs(v1::ListJobsRequest::default())
        .await
        .unwrap();
    // Who leaves makes room.
    silent.pop();
    timeout(PATIENCE, async {
        while push_features(&server, feature_parts("c", [rows(0, 1)], None))
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

/// However long a job waits before it reads them.
#[tokio::test]
async fn a_flipped_bit_of_a_pushed_sample_is_never_used() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let parts = feature_parts("p", [rows(0, 400)], Some(400));
    assert!(push_features(&server, parts).await.unwrap().complete);
    let path = home.data().join("pushed/p/samples.bin");
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[123 * DIMENSION * 4 + 5] ^= 2;
    fs::write(&path, damaged).unwrap();
    let submit = |name| {
        let mut request = submission(name, Path::new(""), 3);
        parameters(&mut request).max_failed_fraction = Some(0.0);
        SubmitJobRequest {
            source: "pushed:p".to_owned(),
            ..request
        }
    };
    let job = server.submit_new(submit("c")).await;
    let job = server.ended(&job.id).await;
    assert_eq!(job.state(), JobState::Failed);
    let reason = job.failure.unwrap().reason;
    assert!(
        reason.contains("row-123") && reason.contains("hash"),
        "{reason}"
    );
    assert_eq!(job.failed_count, 1);
    fs::write(&path, whole).unwrap();
    assert_eq!(server.publish(submit("d")).await.failed_count, 0);
}
