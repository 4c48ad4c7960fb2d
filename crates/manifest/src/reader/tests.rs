//! Reading ahead, against a web server that can be slow, and a bucket.

use std::collections::HashMap;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::access::testing::s3::S3;
use crate::access::testing::web::{Reply, Web};
use crate::access::{Access, AccessOptions, Settings};
use crate::error::ReadErrorKind;
use crate::source::Source;

fn options() -> AccessOptions {
    AccessOptions {
        first_backoff: Duration::from_millis(1),
        retries: 2,
        ..AccessOptions::default()
    }
}

fn open(uri: &str, options: AccessOptions) -> Manifest {
    let access = Access::new(options).unwrap();
    let mut progress = |_| ControlFlow::Continue(());
    Manifest::open(&Source::new(uri), &access, &mut progress).unwrap()
}

/// What the sample of this number holds.
fn body(number: usize) -> Vec<u8> {
    format!("<{number}>").repeat(number % 7 + 1).into_bytes()
}

/// A server of `count` objects and of a list of them. Before it sends an object it calls `before` with its number.
fn server(count: usize, before: impl Fn(usize) + Send + Sync + 'static) -> Web {
    let mut list = String::new();
    for number in 0..count {
        let _ = writeln!(list, r#"{{"id":"{number}","path":"x/{number}.png"}}"#);
    }
    Web::start(move |request| {
        let Some(number) = request.path.strip_prefix("/x/") else {
            return Reply::object(request, list.as_bytes());
        };
        let number = number
            .strip_suffix(".png")
            .and_then(|number| number.parse().ok());
        let Some(number) = number.filter(|number| *number != 13) else {
            return Reply::status(404);
        };
        before(number);
        Reply::object(request, &body(number))
    })
}

fn check(read: Result<Vec<u8>, ReadError>, number: u64) {
    match read {
        Ok(bytes) => assert_eq!(bytes, body(number as usize), "{number}"),
        Err(error) => {
            assert_eq!((number, error.kind()), (13, ReadErrorKind::NotFound));
            assert!(error.to_string().contains("`13`") && error.to_string().contains("/x/13.png"));
        }
    }
}

fn counts(web: &Web) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for request in web.seen() {
        *counts.entry(request.path).or_default() += 1;
    }
    counts.retain(|path, _| path.starts_with("/x/"));
    counts
}

#[test]
fn fetches_many_at_once_and_each_once() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let highest = Arc::clone(&most);
    let web = server(100, move |_| {
        highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(20));
        now.fetch_sub(1, Ordering::SeqCst);
    });
    let concurrency = 16;
    let manifest = open(
        &web.url("/list.jsonl"),
        AccessOptions {
            concurrency,
            ..options()
        },
    );
    let reader = manifest.reader(Box::new(0..100));
    for number in 0..100 {
        check(reader.read(number), number);
    }
    let most = most.load(Ordering::SeqCst);
    assert!((8..=concurrency).contains(&most), "{most} at once");
    let counts = counts(&web);
    assert_eq!(counts.len(), 100);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

#[test]
fn serves_threads_that_race() {
    let web = server(300, |_| thread::sleep(Duration::from_millis(1)));
    let manifest = open(&web.url("/list.jsonl"), options());
    let reader = manifest.reader(Box::new(0..300));
    let next = AtomicUsize::new(0);
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst) as u64;
                    if number >= 300 {
                        break;
                    }
                    check(reader.read(number), number);
                }
            });
        }
    });
    let total: usize = counts(&web).values().sum();
    assert!((300..330).contains(&total), "{total} requests");
}

#[test]
fn reads_whatever_is_asked_whatever_was_announced() {
    let web = server(200, |_| {});
    let manifest = open(
        &web.url("/list.jsonl"),
        AccessOptions {
            concurrency: 4,
            ..options()
        },
    );
    // Backwards, twice, never announced, announced twice, and announced but not there.
    let announced = (0..100).chain(0..100).chain([5000]);
    let reader = manifest.reader(Box::new(announced));
    for number in (0..200).rev().chain(0..200) {
        check(reader.read(number), number);
    }
    let error = reader.read(5000).unwrap_err();
    assert_eq!(error.kind(), ReadErrorKind::NoSuchSample);
}

#[test]
fn what_lies_ready_is_bounded_in_bytes() {
    let size = 100_000;
    let mut list = String::new();
    for number in 0..64 {
        let _ = writeln!(list, r#"{{"id":"{number}","path":"x/{number}.png"}}"#);
    }
    let web = Web::start(move |request| match request.path.starts_with("/x/") {
        true => Reply::object(request, &vec![7; size]),
        false => Reply::object(request, list.as_bytes()),
    });
    let prefetch_bytes = 4 * size as u64;
    let manifest = open(
        &web.url("/list.jsonl"),
        AccessOptions {
            prefetch_bytes,
            ..options()
        },
    );
    let reader = manifest.reader(Box::new(0..64));
    for number in 0..64 {
        assert_eq!(reader.read(number).unwrap().len(), size);
    }
    // Asked for backwards, with the whole budget spent on others: they come all the same.
    let reader = manifest.reader(Box::new(0..64));
    for number in (0..32).rev() {
        assert_eq!(reader.read(number).unwrap().len(), size);
    }
}

#[test]
fn members_of_a_remote_tar_come_together() {
    let s3 = S3::start();
    let mut tar = tar::Builder::new(Vec::new());
    for number in 0..500 {
        let bytes = body(number);
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, format!("x/{number:04}.png"), &*bytes)
            .unwrap();
    }
    let tar = tar.into_inner().unwrap();
    s3.put("data", "a.tar", &tar);
    let settings: Settings = s3.settings().into_iter().collect();
    let manifest = open(
        "s3://data/a.tar",
        AccessOptions {
            settings,
            ..options()
        },
    );
    assert_eq!(manifest.len(), 500);
    let reader = manifest.reader(Box::new(0..500));
    for number in 0..500 {
        assert_eq!(reader.read(number).unwrap(), body(number as usize));
    }
    let groups = {
        let mut window = Window::new(&manifest, Box::new(0..500));
        window.take(0).unwrap();
        window.slots.len()
    };
    assert_eq!(groups, 499, "in one request");

    s3.put("data", "a.tar", vec![0; tar.len()]);
    let error = manifest.reader(Box::new(0..500)).read(3).unwrap_err();
    assert!(error.to_string().contains("changed"), "{error}");
    assert!(error.to_string().contains("s3://data/a.tar"), "{error}");
}

#[test]
fn a_reader_given_up_leaves_nothing_under_way() {
    let gate = Arc::new(Mutex::new(()));
    let shut = gate.lock().unwrap();
    let web = server(100, {
        let gate = Arc::clone(&gate);
        // The first is answered at once, the others when the gate opens.
        move |number| drop((number > 0).then(|| gate.lock()))
    });
    let options = options();
    let most = options.concurrency;
    let manifest = open(&web.url("/list.jsonl"), options);
    let reader = manifest.reader(Box::new(0..100));
    check(reader.read(0), 0);
    drop(reader);
    drop(shut);
    // Time in which more would be asked for.
    thread::sleep(Duration::from_millis(200));
    let asked = counts(&web).len();
    assert!(asked <= most, "{asked}");
}

#[test]
fn a_waiting_thread_stops_when_told() {
    let gate = Arc::new(Mutex::new(()));
    let shut = gate.lock().unwrap();
    let web = server(100, {
        let gate = Arc::clone(&gate);
        move |_| drop(gate.lock())
    });
    let manifest = open(&web.url("/list.jsonl"), options());
    let reader = manifest.reader(Box::new(0..3));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // One that was fetched ahead, and one that was not.
        let waiting = [0, 50].map(|number| {
            scope.spawn({
                let (reader, stop) = (&reader, &stop);
                move || (number, reader.read_unless(number, stop))
            })
        });
        let paths = ["/x/0.png", "/x/50.png"];
        let began = Instant::now();
        while !paths.iter().all(|path| counts(&web).contains_key(*path)) {
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "never asked for"
            );
            thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::SeqCst);
        for waiting in waiting {
            let (number, read): (u64, Result<Vec<u8>, ReadError>) = waiting.join().unwrap();
            let error = read.unwrap_err();
            assert_eq!(error.kind(), ReadErrorKind::Unavailable);
            let error = error.to_string();
            assert!(
                error.contains(&format!("x/{number}.png: interrupted")),
                "{error}"
            );
        }
    });
    drop(shut);
}
