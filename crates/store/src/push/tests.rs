//! Pushes over kills, gaps, repetitions and full disks.

use super::*;
use crate::store::temporary;
use std::io::Write;

const LIMITS: PushLimits = PushLimits {
    max_samples: 1_000,
    min_free_bytes: 0,
};

fn sample(id: &str) -> PushedSample<'_> {
    PushedSample {
        id,
        label: "l",
        bytes: id.as_bytes(),
    }
}

struct Home {
    pushes: Arc<Pushes>,
    store: Store,
    _folder: tempfile::TempDir,
}

fn home() -> Home {
    let (store, folder) = temporary();
    Home {
        pushes: Pushes::new(&store, LIMITS),
        store,
        _folder: folder,
    }
}

impl Home {
    fn file(&self, name: &str) -> PathBuf {
        self.store.root().join("pushed/p").join(name)
    }

    fn rows(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.file(MANIFEST)).unwrap();
        text.lines()
            .map(|row| serde_json::from_str(row).unwrap())
            .collect()
    }

    fn open(&self) -> Push {
        self.pushes.open("p", PushKind::Images, "here").unwrap()
    }

    fn manifest(&self) -> Result<(PathBuf, PushKind)> {
        let mut proceed = || ControlFlow::Continue(());
        self.pushes.manifest("p", &mut proceed)
    }
}

#[test]
fn rows_say_where_the_bytes_are() {
    let home = home();
    let mut push = home.open();
    push.append(0, &[sample("a\"\n"), sample("bc")]).unwrap();
    assert!(matches!(
        home.manifest(),
        Err(PushError::Incomplete { samples: 0, .. })
    ));
    assert!(push.finish(2).unwrap().complete);
    drop(push);
    let (manifest, kind) = home.manifest().unwrap();
    assert_eq!((manifest, kind), (home.file(MANIFEST), PushKind::Images));
    assert_eq!(fs::read(home.file(SAMPLES)).unwrap(), b"a\"\nbc");
    assert_eq!(
        home.rows(),
        [
            serde_json::json!({
                "id": "a\"\n", "path": "samples.bin", "offset": 0, "length": 3, "label": "l",
                "blake3": blake3::hash(b"a\"\n").to_hex().as_str()
            }),
            serde_json::json!({
                "id": "bc", "path": "samples.bin", "offset": 3, "length": 2, "label": "l",
                "blake3": blake3::hash(b"bc").to_hex().as_str()
            }),
        ]
    );
}

#[test]
fn what_a_kill_left_beyond_the_state_is_cut() {
    let home = home();
    let mut push = home.open();
    push.append(0, &[sample("a"), sample("b")]).unwrap();
    assert_eq!(push.sync().unwrap(), 2);
    push.append(2, &[sample("c")]).unwrap();
    // As after SIGKILL: nobody ends the push, and the next process knows of no writer.
    std::mem::forget(push);
    let mut rows = File::options()
        .append(true)
        .open(home.file(MANIFEST))
        .unwrap();
    rows.write_all(b"{\"id\":\"torn").unwrap();
    let pushes = Pushes::new(&home.store, LIMITS);
    assert_eq!(pushes.state("p").unwrap().unwrap().samples, 2);
    let mut push = pushes.open("p", PushKind::Images, "here").unwrap();
    assert_eq!(push.samples(), 2);
    push.append(2, &[sample("d")]).unwrap();
    push.finish(3).unwrap();
    drop(push);
    assert_eq!(fs::read(home.file(SAMPLES)).unwrap(), b"abd");
    assert_eq!(home.rows().len(), 3);
}

#[test]
fn what_was_sent_before_may_be_sent_again_and_gaps_may_not() {
    let home = home();
    let mut push = home.open();
    push.append(0, &[sample("a"), sample("b")]).unwrap();
    push.append(1, &[sample("b"), sample("c")]).unwrap();
    push.append(0, &[sample("a")]).unwrap();
    let gap = push.append(5, &[sample("x")]);
    assert!(matches!(
        gap,
        Err(PushError::Gap {
            offset: 5,
            expected: 3
        })
    ));
    assert!(matches!(
        push.finish(2),
        Err(PushError::Count { taken: 3, .. })
    ));
    push.finish(3).unwrap();
    drop(push);
    assert_eq!(fs::read(home.file(SAMPLES)).unwrap(), b"abc");

    let mut again = home.open();
    again
        .append(0, &[sample("a"), sample("b"), sample("c")])
        .unwrap();
    again.finish(3).unwrap();
    assert!(matches!(
        again.append(3, &[sample("d")]),
        Err(PushError::Complete(_))
    ));
}

#[test]
fn one_writer_at_a_time_and_of_one_kind() {
    let home = home();
    let push = home.open();
    let second = home.pushes.open("p", PushKind::Images, "here");
    assert!(matches!(second, Err(PushError::Busy(_))));
    drop(push);
    let features = PushKind::Features { dimension: 2 };
    let other = home.pushes.open("p", features, "here");
    assert!(matches!(other, Err(PushError::OtherKind { .. })));
    let other = home.pushes.open("p", PushKind::Images, "there");
    assert!(matches!(other, Err(PushError::OtherSource(_))));
    let long = "x".repeat(MAX_FINGERPRINT + 1);
    let other = home.pushes.open("p", PushKind::Images, &long);
    assert!(matches!(other, Err(PushError::Fingerprint(_))));
    // A refusal leaves nothing claimed.
    drop(home.open());
    for name in ["", "..", "a/b", "ü"] {
        let bad = home.pushes.open(name, PushKind::Images, "here");
        assert!(matches!(bad, Err(PushError::Name(_))), "{name}");
    }
}

#[test]
fn samples_that_cannot_be_taken_are_named_and_those_before_stay() {
    let home = home();
    let features = PushKind::Features { dimension: 2 };
    let mut push = home.pushes.open("f", features, "here").unwrap();
    let row = |bytes| PushedSample {
        id: "r",
        label: "",
        bytes,
    };
    let error = push.append(0, &[row(&[0; 8]), row(&[0; 7])]).unwrap_err();
    assert!(error.to_string().contains("sample 1"), "{error}");
    assert_eq!(push.samples(), 1);
    let long = "x".repeat(MAX_TEXT + 1);
    for bad in ["", long.as_str()] {
        let sample = PushedSample {
            id: bad,
            ..row(&[0; 8])
        };
        assert!(push.append(1, &[sample]).is_err());
    }
    let many: Vec<_> = (0..1_001).map(|_| row(&[0; 8])).collect();
    let error = push.append(0, &many).unwrap_err().to_string();
    assert!(error.contains("sources.max_samples"), "{error}");
    assert!(matches!(
        home.pushes
            .open("g", PushKind::Features { dimension: 0 }, "here"),
        Err(PushError::Dimension { .. })
    ));
}

#[test]
fn a_full_disk_is_said_before_anything_is_written() {
    let home = home();
    let limits = PushLimits {
        min_free_bytes: u64::MAX,
        ..LIMITS
    };
    let mut push = Pushes::new(&home.store, limits)
        .open("p", PushKind::Images, "here")
        .unwrap();
    let full = push.append(0, &[sample("a")]);
    assert!(matches!(full, Err(PushError::DiskFull { .. })));
    assert_eq!(push.samples(), 0);
}

#[test]
fn a_damaged_state_is_never_used() {
    let home = home();
    drop(home.open());
    let path = home.file("STATE");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(
        home.pushes.open("p", PushKind::Images, "here"),
        Err(PushError::Store(crate::StoreError::Corrupt { .. }))
    ));
}

#[test]
fn files_that_lost_durable_bytes_are_damaged() {
    let home = home();
    let mut push = home.open();
    push.append(0, &[sample("abc")]).unwrap();
    drop(push);
    fs::write(home.file(SAMPLES), b"a").unwrap();
    assert!(matches!(
        home.pushes.open("p", PushKind::Images, "here"),
        Err(PushError::Store(crate::StoreError::Corrupt { .. }))
    ));
}

#[test]
fn a_flipped_bit_in_any_file_is_found() {
    let home = home();
    let mut push = home.open();
    push.append(0, &[sample("a"), sample("b")]).unwrap();
    push.sync().unwrap();
    push.append(2, &[sample("cd")]).unwrap();
    push.finish(3).unwrap();
    drop(push);
    home.manifest().unwrap();
    let verified = || {
        let mut progress = |_| ControlFlow::Continue(());
        home.store.verify(&mut progress).unwrap()
    };
    let sound = verified();
    assert_eq!((sound.pushes.count, sound.damaged_count), (1, 0));
    for file in [SAMPLES, MANIFEST, CHECKSUMS, "STATE"] {
        let whole = fs::read(home.file(file)).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(home.file(file), flipped).unwrap();
            if file == SAMPLES {
                // Found by whoever reads the sample, and by verify.
                assert_eq!(verified().damaged_count, 1, "byte {at}");
                continue;
            }
            let found = home.manifest();
            let is_found = matches!(
                found,
                Err(PushError::Store(crate::StoreError::Corrupt { .. }))
            );
            assert!(is_found, "{file} byte {at}: {found:?}");
        }
        assert_eq!(verified().damaged_count, 1, "{file}");
        // Rows that nobody pushed, and a file that is gone.
        fs::write(home.file(file), [&whole[..], &whole[..]].concat()).unwrap();
        if file == MANIFEST {
            assert!(home.manifest().is_err());
        }
        fs::remove_file(home.file(file)).unwrap();
        assert!(home.manifest().is_err(), "{file}");
        assert_eq!(verified().damaged_count, 1, "{file}");
        fs::write(home.file(file), whole).unwrap();
    }
    home.manifest().unwrap();
}

#[test]
fn a_push_that_is_read_again_can_be_broken_off() {
    let home = home();
    let mut push = home.open();
    push.append(0, &[sample("a")]).unwrap();
    push.finish(1).unwrap();
    drop(push);
    let stopped = home.pushes.manifest("p", &mut || ControlFlow::Break(()));
    assert!(matches!(stopped, Err(PushError::Stopped)));
}
