//! Versions on their way out and in, by clients that are slow or gone.

use super::Home;
use crate::service::{
    Messages,
    versions::{self, Incoming, Places},
};
use curriculum_proto::v1::{
    self, Order, curriculum_service_server::CurriculumService, export_version_response::Part,
    import_version_request,
};
use std::{future::Future, time::Duration};
use tokio::{runtime, sync::watch};
use tokio_stream::{StreamExt, iter, pending};
use tonic::{Code, Request, Status};

/// Exports, and imports, that may be under way.
const PLACES: usize = 16;

/// With one thread for all work that blocks.
fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build();
    runtime.unwrap().block_on(test);
}

async fn export(home: &Home) -> Result<Messages<v1::ExportVersionResponse>, Status> {
    let request = v1::ExportVersionRequest {
        curriculum: "c".to_owned(),
        version: String::new(),
    };
    let answer = home.curricula.export_version(Request::new(request)).await;
    answer.map(tonic::Response::into_inner)
}

async fn part(messages: &mut Messages<v1::ExportVersionResponse>) -> Option<Part> {
    messages.next().await?.unwrap().part
}

fn import(part: import_version_request::Part) -> Result<v1::ImportVersionRequest, Status> {
    Ok(v1::ImportVersionRequest { part: Some(part) })
}

fn header() -> Result<v1::ImportVersionRequest, Status> {
    import(import_version_request::Part::Header(v1::ImportHeader {
        curriculum: "copy".to_owned(),
    }))
}

#[test]
fn exports_that_nobody_reads_hold_no_thread_and_are_bounded() {
    let home = Home::short(300_000);
    on_one_thread(async {
        let mut open = Vec::new();
        for _ in 0..PLACES {
            let mut messages = export(&home).await.unwrap();
            assert!(matches!(part(&mut messages).await, Some(Part::Header(_))));
            let Some(Part::Data(first)) = part(&mut messages).await else {
                panic!("no data");
            };
            assert_eq!(first.len(), 1 << 20);
            open.push((messages, first));
        }
        let refused = export(&home).await.err().unwrap();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        assert_eq!(home.weights(Order::EasyFirst, 0, None).await.len(), 300_000);

        // One reads on, the others leave.
        let (mut messages, mut file) = open.pop().unwrap();
        drop(open);
        while let Some(Part::Data(data)) = part(&mut messages).await {
            file.extend(data);
        }
        let mut expected = Vec::new();
        home.store
            .export_version([5; 32].into(), &mut expected)
            .unwrap();
        assert!(file == expected, "{} of {}", file.len(), expected.len());
        drop(messages);
        for _ in 0..2 * PLACES {
            drop(export(&home).await.unwrap());
        }
    });
}

#[test]
fn imports_that_send_nothing_hold_no_thread_and_end() {
    let home = Home::short(100);
    on_one_thread(async {
        let places = Places::new();
        let (stop, stopping) = watch::channel(false);
        let call = |silence| {
            let (store, places) = (home.store.clone(), places.clone());
            let silent = iter([header()]).chain(pending());
            let incoming = Incoming::new(silent, stopping.clone()).ending_after(silence);
            tokio::spawn(async move { versions::import(store, &places, incoming).await })
        };
        let code = async |call: tokio::task::JoinHandle<Result<_, Status>>| {
            call.await.unwrap().unwrap_err().code()
        };
        let silent = call(Duration::from_millis(5));
        assert_eq!(code(silent).await, Code::DeadlineExceeded);

        let calls: Vec<_> = (0..PLACES)
            .map(|_| call(Duration::from_secs(3_600)))
            .collect();
        assert_eq!(home.weights(Order::EasyFirst, 0, None).await.len(), 100);
        let beyond = call(Duration::from_secs(3_600));
        assert_eq!(code(beyond).await, Code::ResourceExhausted);
        stop.send_replace(true);
        for call in calls {
            assert_eq!(code(call).await, Code::Unavailable);
        }
    });
}

#[tokio::test]
async fn an_import_that_breaks_off_at_its_end_is_none() {
    let home = Home::short(100);
    let places = Places::new();
    let (_stop, stopping) = watch::channel(false);
    let mut file = Vec::new();
    home.store
        .export_version([5; 32].into(), &mut file)
        .unwrap();
    let data = import(import_version_request::Part::Data(file));
    let broken = iter([header(), data, Err(Status::cancelled("left"))]);
    let imported = versions::import(home.store.clone(), &places, Incoming::new(broken, stopping));
    assert_eq!(imported.await.unwrap_err().code(), Code::Cancelled);
    assert_eq!(home.store.curriculum("copy").unwrap(), None);
}
