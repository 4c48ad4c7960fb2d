//! Pointers move as asked, and data goes only with the last of them.

use super::*;
use crate::{Column, store::temporary, version::tests::put_version};

fn digest(n: u8) -> Digest {
    Digest::from([n; 32])
}

/// Curriculum `c` with versions 1 to `newest`, the last one newest.
fn filled(newest: u8) -> (Store, tempfile::TempDir) {
    let (store, folder) = temporary();
    for n in 1..=newest {
        put_version(&store, digest(n));
        store.point("c", digest(n)).unwrap();
    }
    (store, folder)
}

fn versions(store: &Store) -> Vec<Digest> {
    store.curriculum("c").unwrap().unwrap().versions
}

fn is_not_found<T>(result: Result<T>) -> bool {
    matches!(result, Err(StoreError::NotFound(_)))
}

#[test]
fn pointing_moves_a_version_to_the_front_once() {
    let (store, _folder) = filled(3);
    store.point("c", digest(2)).unwrap();
    assert_eq!(versions(&store), [2, 3, 1].map(digest));
    assert_eq!(store.curriculum("x").unwrap(), None);
    assert_eq!(store.curricula().unwrap().len(), 1);
    assert!(is_not_found(store.point("c", digest(9))));
}

#[test]
fn aliases_go_forward_and_back() {
    let (store, _folder) = filled(3);
    let resolve = |reference| store.resolve("c", &reference);
    let prod = || Reference::Alias("prod".to_owned());
    assert!(is_not_found(resolve(prod())));
    for n in [1, 2, 2, 3] {
        store.promote("c", "prod", digest(n)).unwrap();
        assert_eq!(resolve(prod()).unwrap(), digest(n));
    }
    assert_eq!(store.roll_back("c", "prod").unwrap(), digest(2));
    assert_eq!(store.roll_back("c", "prod").unwrap(), digest(1));
    assert!(is_not_found(store.roll_back("c", "prod")));
    assert_eq!(resolve(prod()).unwrap(), digest(1));
    assert_eq!(resolve(Reference::Latest).unwrap(), digest(3));
    let named_latest = Reference::Alias("latest".to_owned());
    assert_eq!(resolve(named_latest).unwrap(), digest(3));
    let pinned = Reference::Version(digest(2));
    assert_eq!(resolve(pinned).unwrap(), digest(2));
    assert!(is_not_found(resolve(Reference::Version(digest(9)))));
    assert!(is_not_found(store.promote("c", "prod", digest(9))));
    assert!(is_not_found(store.promote("x", "prod", digest(1))));
    assert!(is_not_found(store.roll_back("c", "other")));
}

#[test]
fn names_that_mean_something_else_are_no_aliases() {
    let (store, _folder) = filled(1);
    let version = digest(1).to_string();
    for alias in [
        "latest",
        "",
        "a@b",
        "a/b",
        "ü",
        version.as_str(),
        &"x".repeat(65),
    ] {
        let refused = store.promote("c", alias, digest(1));
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{alias}");
    }
}

#[test]
fn what_is_held_is_not_deleted() {
    let (store, _folder) = filled(3);
    store.promote("c", "prod", digest(1)).unwrap();
    for (n, holder) in [(1, "prod"), (3, LATEST)] {
        match store.delete_version("c", digest(n)) {
            Err(StoreError::Held { alias, .. }) => assert_eq!(alias, holder),
            other => panic!("{other:?}"),
        }
    }
    store.delete_version("c", digest(2)).unwrap();
    assert_eq!(versions(&store), [3, 1].map(digest));
    assert!(is_not_found(store.delete_version("c", digest(2))));
    assert!(store.version(digest(2)).unwrap().is_none());
    assert!(store.column(digest(2), Column::Difficulty, 1).is_err());
    assert!(store.sketch(digest(2)).is_err());
    assert!(store.version(digest(1)).unwrap().is_some());
}

#[test]
fn data_stays_while_another_name_or_a_job_needs_it() {
    let (store, _folder) = filled(3);
    store.point("other", digest(1)).unwrap();
    let mut job = crate::job::tests::job(1);
    job.version = Some(digest(2));
    job.state = crate::JobState::Running;
    store.put_job(&job).unwrap();
    for n in [1, 2] {
        store.delete_version("c", digest(n)).unwrap();
        assert!(store.version(digest(n)).unwrap().is_some());
    }
    assert_eq!(versions(&store), [digest(3)]);
}

#[test]
fn retention_keeps_the_newest_and_what_aliases_need() {
    let (store, _folder) = filled(6);
    for n in [1, 2, 3] {
        store.promote("c", "prod", digest(n)).unwrap();
    }
    assert_eq!(store.apply_retention("c", 2).unwrap(), [4, 1].map(digest));
    assert_eq!(versions(&store), [6, 5, 3, 2].map(digest));
    assert_eq!(store.apply_retention("c", 2).unwrap(), []);
    assert!(store.version(digest(4)).unwrap().is_none());
    assert_eq!(store.roll_back("c", "prod").unwrap(), digest(2));
    // What is deleted cannot be rolled back to.
    assert!(is_not_found(store.roll_back("c", "prod")));
    assert_eq!(store.apply_retention("c", 0).unwrap(), [5, 3].map(digest));
}

#[test]
fn a_damaged_record_is_never_used() {
    let (store, _folder) = filled(1);
    let mut value = store.curricula.get("c").unwrap().unwrap().to_vec();
    *value.last_mut().unwrap() ^= 1;
    store.curricula.insert("c", value).unwrap();
    let corrupt = [
        store.curriculum("c").err(),
        store.point("c", digest(1)).err(),
    ];
    for error in corrupt {
        assert!(matches!(error, Some(StoreError::Corrupt { .. })));
    }
}
