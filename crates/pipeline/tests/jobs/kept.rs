//! What jobs leave in the data folder: it passes verification, none of it is garbage, and a version
//! serves from another folder.

use crate::support::{CountingExtractor, pipeline, request, run, source_with, store};
use curriculum_store::{Clusters, Column, JobState, Pack, Store};
use std::ops::ControlFlow;

fn check(store: &Store) {
    let found = store.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(found.damaged, []);
    assert!(found.complete && found.packs.count > 0);
    let proceed = &mut || ControlFlow::Continue(());
    let garbage = store.collect_garbage(true, proceed).unwrap();
    assert_eq!(garbage.bytes(), 0, "{garbage:?}");
}

#[test]
fn jobs_leave_nothing_damaged_and_nothing_superfluous() {
    let (store, _kept) = store();
    let (source, _folder) = source_with(|i| i % 100 == 3);
    let pipeline = pipeline(&store, CountingExtractor::default());
    let mut request = request(&source);
    request.parameters.max_failed_fraction = Some(0.5);
    let first = run(&pipeline, &request);
    assert_eq!(first.state, JobState::Succeeded);
    check(&store);
    request.parameters.clusters = Some(Clusters::Fixed(4));
    request.parameters.by_label = true;
    let second = run(&pipeline, &request);
    assert_eq!(second.state, JobState::Succeeded);
    check(&store);
    // The same content again, by the first one's clusters.
    request.extend = first.version;
    request.parameters = Default::default();
    request.parameters.max_failed_fraction = Some(0.5);
    assert_eq!(run(&pipeline, &request).state, JobState::Succeeded);
    check(&store);
}

#[test]
fn what_is_deleted_is_garbage_and_the_rest_stays() {
    let (store, _kept) = store();
    let (source, _folder) = source_with(|_| false);
    let pipeline = pipeline(&store, CountingExtractor::default());
    let mut request = request(&source);
    let first = run(&pipeline, &request);
    request.parameters.clusters = Some(Clusters::Fixed(4));
    let second = run(&pipeline, &request);
    store.delete_version("c", first.version.unwrap()).unwrap();
    check(&store);
    // Features that no sample of a version has.
    let space = store.feature_space(second.model_digest, 4).unwrap();
    let pack = Pack {
        digests: vec![second.id],
        features: vec![0.0; 4],
        failures: Vec::new(),
    };
    space.append(&pack).unwrap();
    let proceed = &mut || ControlFlow::Continue(());
    assert_eq!(
        store.collect_garbage(false, proceed).unwrap().packs.count,
        1
    );
    check(&store);
}

#[test]
fn a_version_serves_from_another_folder() {
    let (store, _kept) = store();
    let (source, _folder) = source_with(|_| false);
    let job = run(
        &pipeline(&store, CountingExtractor::default()),
        &request(&source),
    );
    let version = job.version.unwrap();
    let mut file = Vec::new();
    store.export_version(version, &mut file).unwrap();
    let (other, _kept) = crate::support::store();
    other
        .import_version(&mut file.as_slice(), "imported")
        .unwrap();
    let read = |store: &Store| {
        let difficulty = store.column(version, Column::Difficulty, job.sample_count);
        (difficulty.unwrap(), store.sketch(version).unwrap())
    };
    assert_eq!(read(&other), read(&store));
    let found = other.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(found.damaged, []);
}
