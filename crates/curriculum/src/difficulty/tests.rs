use super::*;
use proptest::prelude::*;

const ALL: [Normalization; 4] = [
    Normalization::ClusterMinMax,
    Normalization::ClusterRank,
    Normalization::GlobalMinMax,
    Normalization::None,
];

fn scores<'a>(score: &'a [f32], group: &'a [u32], groups: usize) -> Scores<'a> {
    Scores {
        score,
        group,
        groups,
        visitor: &[],
        uniform: &[],
    }
}

#[test]
fn each_cluster_spans_zero_to_one() {
    let scores = scores(&[1.0, 2.0, 3.0, 10.0, 30.0], &[0, 0, 0, 1, 1], 2);
    let difficulty = scores.difficulty(Normalization::ClusterMinMax);
    assert_eq!(difficulty, [0.0, 0.5, 1.0, 0.0, 1.0]);
}

#[test]
fn equal_scores_are_all_easy_in_their_cluster() {
    let scores = scores(&[2.0, 2.0, 7.0], &[0, 0, 1], 3);
    assert_eq!(scores.difficulty(Normalization::ClusterMinMax), [0.0; 3]);
    // Ties share the middle of their ranks.
    assert_eq!(
        scores.difficulty(Normalization::ClusterRank),
        [0.5, 0.5, 0.0]
    );
}

#[test]
fn ranks_are_fractions_of_members_below() {
    let scores = scores(&[5.0, 1.0, 5.0, 9.0, 2.0], &[0; 5], 1);
    assert_eq!(
        scores.difficulty(Normalization::ClusterRank),
        [0.625, 0.0, 0.625, 1.0, 0.25]
    );
}

#[test]
fn the_global_range_spans_all_clusters() {
    let scores = scores(&[1.0, 2.0, 3.0, 5.0], &[0, 0, 1, 1], 2);
    assert_eq!(
        scores.difficulty(Normalization::GlobalMinMax),
        [0.0, 0.25, 0.5, 1.0]
    );
    assert_eq!(scores.difficulty(Normalization::None), [1.0, 2.0, 3.0, 5.0]);
}

#[test]
fn visitors_are_clipped_and_define_no_range() {
    let visiting = Scores {
        visitor: &[false, false, true, true, true],
        ..scores(&[1.0, 3.0, 0.5, 9.0, 2.0], &[0; 5], 1)
    };
    for normalization in ALL.into_iter().take(3) {
        assert_eq!(
            visiting.difficulty(normalization),
            [0.0, 1.0, 0.0, 1.0, 0.5],
            "{normalization:?}"
        );
    }
    // A lone member is easy, whoever lies beyond it is hard.
    let alone = Scores {
        visitor: &[false, true, true],
        ..scores(&[1.0, 0.5, 2.0], &[0; 3], 1)
    };
    for normalization in ALL.into_iter().take(3) {
        assert_eq!(alone.difficulty(normalization), [0.0, 0.0, 1.0]);
    }
}

#[test]
fn uniform_groups_and_samples_without_features_are_hardest() {
    let partial = Scores {
        uniform: &[false, true],
        ..scores(
            &[1.0, 3.0, 0.1, 0.2, f32::NAN, 7.0, f32::INFINITY],
            &[0, 0, 1, 1, 0, u32::MAX, 0],
            2,
        )
    };
    for normalization in ALL.into_iter().take(3) {
        let difficulty = partial.difficulty(normalization);
        assert_eq!(difficulty, [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    }
    assert_eq!(
        partial.difficulty(Normalization::None),
        [1.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    );
}

#[test]
fn histogram_counts_both_ends_and_what_lies_beyond() {
    assert_eq!(histogram(&[0.0, 0.24, 0.25, 0.99, 1.0], 4), [2, 1, 0, 2]);
    let beyond = [-3.0, 1.5, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    assert_eq!(histogram(&beyond, 2), [3, 2]);
    assert_eq!(histogram(&beyond, 0), Vec::<u64>::new());
}

proptest! {
    #[test]
    fn any_input_gives_difficulties_in_range(
        samples in prop::collection::vec((prop::num::f32::ANY, 0u32..6, any::<bool>()), 0..60),
        uniform in prop::collection::vec(any::<bool>(), 0..4),
    ) {
        let score: Vec<f32> = samples.iter().map(|s| s.0).collect();
        let group: Vec<u32> = samples.iter().map(|s| s.1).collect();
        let visitor: Vec<bool> = samples.iter().map(|s| s.2).collect();
        let scores = Scores { score: &score, group: &group, groups: 4, visitor: &visitor, uniform: &uniform };
        for normalization in ALL.into_iter().take(3) {
            let difficulty = scores.difficulty(normalization);
            prop_assert_eq!(difficulty.len(), samples.len());
            prop_assert!(difficulty.iter().all(|d| (0.0..=1.0).contains(d)));
        }
    }
}
