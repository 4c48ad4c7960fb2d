use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;
use crate::access::{Access, AccessOptions};
use crate::error::ManifestError;

fn entry<'a>(id: &'a str, label: Option<&'a str>) -> Entry<'a> {
    Entry {
        id,
        label,
        file: 0,
        line: 0,
        spot: Spot::Id,
        stamp: None,
        digest: None,
    }
}

fn build(rows: &[(String, Option<String>)]) -> (Index, Option<u64>, Option<Duplicate>) {
    let access = Access::unrestricted();
    let mut progress = |_| ControlFlow::Continue(());
    let mut builder = Builder::new(&access, &mut progress).unwrap();
    for (id, label) in rows {
        builder.push(&entry(id, label.as_deref())).unwrap();
    }
    builder.finish().unwrap()
}

fn seen(index: &Index, range: Range<u64>) -> Vec<(String, Option<String>)> {
    let mut seen = Vec::new();
    let mut see = |sample: Sample| {
        seen.push((
            sample.id.into(),
            sample.label.map(|label| (*label).to_owned()),
        ));
        io::Result::Ok(())
    };
    index.visit(range, &mut see).unwrap();
    seen
}

#[test]
fn gives_back_rows_from_any_block() {
    let rows: Vec<_> = (0..5000)
        .map(|n| {
            (
                format!("id-{n}"),
                (n % 3 > 0).then(|| format!("class {}", n % 7)),
            )
        })
        .collect();
    let (index, unlabelled, duplicate) = build(&rows);
    assert_eq!((index.rows(), index.blocks.len()), (5000, 5));
    assert_eq!((unlabelled, duplicate), (Some(0), None));
    assert_eq!(seen(&index, 0..5000), rows);
    assert_eq!(seen(&index, 1020..2050), rows[1020..2050]);
    assert!(seen(&index, 7..7).is_empty());
    for n in [4999, 0, 1023, 1024, 3000] {
        assert_eq!(*index.sample(n).unwrap().id, *rows[n as usize].0);
    }
    let labels: Vec<_> = (0..2)
        .map(|n| index.sample(8 + 21 * n).unwrap().label.unwrap())
        .collect();
    assert!(Arc::ptr_eq(&labels[0], &labels[1]), "one text per class");
}

#[test]
fn ends_a_block_early_for_long_rows() {
    let long = "x".repeat(4000);
    let rows: Vec<_> = (0..600).map(|n| (format!("{n}{long}"), None)).collect();
    let (index, ..) = build(&rows);
    assert_eq!(index.blocks.len(), 3);
    assert_eq!(seen(&index, 0..600), rows);
}

#[test]
fn notices_a_flipped_bit() {
    use std::io::{Seek, SeekFrom, Write};
    let rows: Vec<_> = (0..3000).map(|n| (n.to_string(), None)).collect();
    let (mut index, ..) = build(&rows);
    index
        .file
        .seek(SeekFrom::Start(index.blocks[1].offset + 9))
        .unwrap();
    index.file.write_all(&[0xff]).unwrap();
    assert!(index.sample(0).is_ok());
    assert_eq!(
        index.sample(1500).unwrap_err().kind(),
        io::ErrorKind::InvalidData
    );
    assert!(index.sample(2999).is_ok());
}

#[test]
fn stops_at_the_limit_and_when_asked() {
    let options = AccessOptions {
        max_samples: 3,
        ..AccessOptions::default()
    };
    let access = Access::new(options).unwrap();
    let mut progress = |_| ControlFlow::Continue(());
    let mut builder = Builder::new(&access, &mut progress).unwrap();
    for id in ["a", "b", "c"] {
        builder.push(&entry(id, None)).unwrap();
    }
    let error = builder.push(&entry("d", None)).unwrap_err();
    assert!(matches!(error, ManifestError::TooManySamples { limit: 3 }));

    let access = Access::unrestricted();
    let mut told = Vec::new();
    let mut progress = |rows| {
        told.push(rows);
        match rows {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    };
    let mut builder = Builder::new(&access, &mut progress).unwrap();
    let ids: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
    let mut pushed = ids.iter().map(|id| builder.push(&entry(id, None)));
    let error = pushed.find_map(Result::err).unwrap();
    drop(pushed);
    assert!(matches!(error, ManifestError::Interrupted));
    assert_eq!(told, [0, 4096]);
}

proptest! {
    #[test]
    fn round_trips_any_text(
        rows in proptest::collection::vec(("\\PC{0,12}", proptest::option::of("\\PC{0,3}")), 1..40),
        cut in any::<proptest::sample::Index>(),
    ) {
        let (index, unlabelled, _) = build(&rows);
        prop_assert_eq!(seen(&index, 0..rows.len() as u64), rows.clone());
        let cut = cut.index(rows.len());
        prop_assert_eq!(&*index.sample(cut as u64).unwrap().id, &*rows[cut].0);
        let first = rows.iter().position(|(_, label)| label.is_none());
        prop_assert_eq!(unlabelled, first.map(|n| n as u64));
    }
}
