//! From images to weights, in every layout.

use curriculum_proto::v1::{self, Order, Phase, SolverStatus, Stage};
use curriculum_tests::{
    Home, TestServer, Weights,
    calls::{submission, weights_of},
    data,
};

/// Rounding of up to 2,000 weights to f32.
const SUM: f64 = 1e-6;

/// Effective fraction of weights that went through f32, and the solver's own tolerance.
const FRACTION: f64 = 1e-5;

/// The preset below 10,000 samples.
const WARMUP: u64 = 1_500;
const INITIAL: f64 = 0.30;

const ORDERS: [Order; 2] = [Order::EasyFirst, Order::HardFirst];

#[tokio::test]
async fn the_whole_archive_becomes_a_curriculum() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let mut request = submission("fashion", &data::archive(), 1);
    request.parameters = None;
    let job = server.publish(request).await;
    assert_eq!((job.sample_count, job.failed_count), (2_000, 0));
    assert_eq!(job.stage(), Stage::Published);
    assert!(
        job.seconds
            .iter()
            .any(|s| s.stage() == Stage::Extracted && s.seconds > 0.0)
    );

    for order in ORDERS {
        for iteration in [0, WARMUP / 2, WARMUP, WARMUP + 1] {
            let weights = server
                .weights(weights_of("fashion", iteration, order))
                .await
                .unwrap();
            check_weights(&weights, &job.version, iteration);
        }
    }
    check_schedule(&server).await;
    check_ranges(&server).await;
    check_summary(&server).await;
    check_order(&server).await;
}

/// What holds for all weights of a version: the sum, the header, and that the two agree.
fn check_weights(weights: &Weights, version: &str, iteration: u64) {
    let (header, entry) = (&weights.header, weights.entry());
    assert!((weights.sum() - 1.0).abs() < SUM, "sum {}", weights.sum());
    assert_eq!(
        (header.version.as_str(), header.sample_count),
        (version, 2_000)
    );
    assert_eq!(
        header.range,
        Some(v1::IndexRange {
            start: 0,
            end: 2_000
        })
    );
    assert_eq!(header.encoding(), v1::Encoding::F32);
    assert!(!header.server_instance.is_empty());
    assert_eq!(entry.iteration, iteration);
    let fraction = effective_fraction(&weights.values);
    assert!(
        (fraction - entry.effective_fraction).abs() < FRACTION,
        "{fraction}: {entry:?}"
    );
    if iteration < WARMUP {
        assert_eq!(
            (entry.phase(), entry.status()),
            (Phase::Warmup, SolverStatus::Ok)
        );
        assert!(
            (entry.effective_fraction - entry.target).abs() < FRACTION,
            "{entry:?}"
        );
    } else {
        assert_eq!(
            (entry.phase(), entry.status()),
            (Phase::Uniform, SolverStatus::Uniform)
        );
        assert!(weights.values.iter().all(|w| *w == 1.0 / 2_000.0));
    }
}

/// The definition, from the weights alone: the expected share of distinct samples in N draws.
fn effective_fraction(weights: &[f32]) -> f64 {
    let n = weights.len() as f64;
    let drawn = weights
        .iter()
        .map(|w| -(n * (-f64::from(*w)).ln_1p()).exp_m1());
    drawn.sum::<f64>() / n
}

async fn check_schedule(server: &TestServer) {
    let iterations = vec![0, 1, 300, 750, 1_200, WARMUP - 1, WARMUP, 1 << 53];
    for order in ORDERS {
        let request = v1::GetScheduleRequest {
            curriculum: "fashion".to_owned(),
            iterations: iterations.clone(),
            order: order.into(),
            ..v1::GetScheduleRequest::default()
        };
        let schedule = server
            .curricula()
            .get_schedule(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(schedule.sample_count, 2_000);
        let asked: Vec<_> = schedule
            .entries
            .iter()
            .map(|entry| entry.iteration)
            .collect();
        assert_eq!(asked, iterations);
        let first = schedule.entries[0].effective_fraction;
        assert!((first - INITIAL).abs() < FRACTION, "{first}");
        let (warmup, uniform) = schedule.entries.split_at(6);
        for pair in warmup.windows(2).chain([&schedule.entries[5..7]]) {
            assert!(
                pair[0].effective_fraction < pair[1].effective_fraction,
                "{pair:?}"
            );
            assert!(pair[0].temperature < pair[1].temperature, "{pair:?}");
        }
        assert_eq!(uniform[0].effective_fraction, uniform[1].effective_fraction);
        for entry in schedule.entries {
            let weights = server
                .weights(weights_of("fashion", entry.iteration, order))
                .await
                .unwrap();
            assert_eq!(weights.entry(), entry);
            assert_eq!(weights.header.server_instance, schedule.server_instance);
        }
    }
}

async fn check_ranges(server: &TestServer) {
    let request = weights_of("fashion", 10, Order::EasyFirst);
    let whole = server.weights(request.clone()).await.unwrap().bits();
    for (start, end) in [(0, 1), (1_234, 1_500), (1_999, 2_000), (5, 5), (0, 2_000)] {
        let range = Some(v1::IndexRange { start, end });
        let request = v1::GetWeightsRequest {
            range,
            ..request.clone()
        };
        let part = server.weights(request).await.unwrap();
        assert_eq!(part.header.range, range);
        assert_eq!(part.bits(), whole[start as usize..end as usize]);
    }
}

async fn check_summary(server: &TestServer) {
    let answer = server.curriculum("fashion").await;
    let (curriculum, version) = (answer.curriculum.unwrap(), answer.version.unwrap());
    assert_eq!(curriculum.versions, [version.id.as_str()]);
    let summary = version.summary.unwrap();
    assert_eq!(summary.histogram.iter().sum::<u64>(), 2_000);
    assert_eq!(
        summary.clusters.iter().map(|c| c.size).sum::<u64>(),
        2_000 - summary.failed_count
    );

    let tried: Vec<_> = summary.candidates.iter().map(|c| c.clusters).collect();
    assert_eq!(tried, Vec::from_iter(2..=20));
    let best = summary
        .candidates
        .iter()
        .min_by(|a, b| a.davies_bouldin.total_cmp(&b.davies_bouldin));
    assert_eq!(best.unwrap().clusters as usize, summary.clusters.len());
    assert_eq!(best.map(|c| c.davies_bouldin), summary.davies_bouldin);

    for cluster in &summary.clusters {
        assert!(!cluster.nearest.is_empty() && cluster.nearest.len() <= 12);
        assert_eq!(cluster.nearest[0].difficulty, 0.0);
        assert_eq!(cluster.farthest[0].difficulty, 1.0);
        assert!(
            cluster
                .nearest
                .is_sorted_by(|a, b| a.difficulty <= b.difficulty)
        );
        for sample in cluster.nearest.iter().chain(&cluster.farthest) {
            assert_eq!(sample.id.split_once('/').unwrap().0, sample.label);
        }
    }
    let list = server
        .curricula()
        .list_curricula(v1::ListCurriculaRequest {})
        .await;
    assert_eq!(list.unwrap().into_inner().curricula, [curriculum]);
}

/// A prototype has the largest weight when easy samples come first, and the smallest otherwise.
async fn check_order(server: &TestServer) {
    let version = server.curriculum("fashion").await.version.unwrap();
    let [easy, hard] = [
        server
            .weights(weights_of("fashion", 0, Order::EasyFirst))
            .await
            .unwrap()
            .values,
        server
            .weights(weights_of("fashion", 0, Order::HardFirst))
            .await
            .unwrap()
            .values,
    ];
    let extremes = |weights: &[f32]| {
        let largest = weights.iter().copied().fold(f32::MIN, f32::max);
        (weights.iter().copied().fold(f32::MAX, f32::min), largest)
    };
    for cluster in version.summary.unwrap().clusters {
        let prototype = cluster.nearest[0].index as usize;
        let outlier = cluster.farthest[0].index as usize;
        assert_eq!((easy[outlier], easy[prototype]), extremes(&easy));
        assert_eq!((hard[prototype], hard[outlier]), extremes(&hard));
    }
}

#[tokio::test]
async fn every_layout_gives_the_same_weights() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    // An image folder is listed by name; the others keep the order they are written in.
    let mut images = data::images(96);
    images.sort_by(|a, b| a.key.cmp(&b.key));
    let (tar, folder) = (home.path("images.tar"), home.path("folder"));
    data::write_tar(&tar, &images);
    data::write_folder(&folder, &images);
    let jsonl = data::write_jsonl(&home.path("listed"), &images);

    let mut versions = Vec::new();
    let mut weights = Vec::new();
    for (name, source) in [("tar", tar), ("jsonl", jsonl), ("folder", folder)] {
        let job = server.publish(submission(name, &source, 4)).await;
        assert_eq!((job.sample_count, job.failed_count), (96, 0), "{name}");
        versions.push(job.version);
        let answer = server
            .weights(weights_of(name, 0, Order::EasyFirst))
            .await
            .unwrap();
        weights.push(answer.bits());
    }
    assert_eq!(weights[0], weights[1]);
    assert_eq!(weights[0], weights[2]);
    // Ids and labels are the same in all of them, so it is the same content.
    assert_eq!(versions[0], versions[1]);
    assert_eq!(versions[0], versions[2]);
}

#[tokio::test]
async fn the_same_content_is_worked_on_once() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let images = data::images(64);
    let (here, there) = (home.path("here.tar"), home.path("there.tar"));
    data::write_tar(&here, &images);
    data::write_tar(&there, &images);
    let job = server.publish(submission("first", &here, 3)).await;
    let extracted = home.feature_chunks();
    assert_eq!(extracted.len(), 1);

    let again = server.submit(submission("first", &here, 3)).await.unwrap();
    assert!(!again.created);
    assert_eq!(again.job, Some(job.clone()));

    let renamed = server.publish(submission("second", &there, 3)).await;
    assert_ne!(renamed.id, job.id);
    assert_eq!(renamed.version, job.version);
    let worked = |job: &v1::Job| job.seconds.iter().any(|s| s.stage() == Stage::Extracted);
    assert!(worked(&job) && !worked(&renamed), "{renamed:?}");

    // Another seed is another version, of the same features.
    let mut reseeded = submission("first", &here, 3);
    reseeded.parameters.as_mut().unwrap().seed = 1;
    let reseeded = server.publish(reseeded).await;
    assert_ne!(reseeded.version, job.version);
    assert_eq!(home.feature_chunks(), extracted);

    let versions = server
        .curriculum("first")
        .await
        .curriculum
        .unwrap()
        .versions;
    assert_eq!(versions, [reseeded.version.as_str(), &job.version]);
    let mut pinned = weights_of("first", 0, Order::EasyFirst);
    pinned.version = job.version;
    let pinned = server.weights(pinned).await.unwrap();
    let second = server
        .weights(weights_of("second", 0, Order::EasyFirst))
        .await
        .unwrap();
    assert_eq!(pinned, second);
}

#[tokio::test]
async fn a_source_that_changes_is_new_work() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let mut images = data::images(64);
    let source = home.path("images.tar");
    data::write_tar(&source, &images);
    let before = server.publish(submission("c", &source, 3)).await;
    images.swap(0, 63);
    data::write_tar(&source, &images);
    let after = server.publish(submission("c", &source, 3)).await;
    assert_ne!((&before.id, &before.version), (&after.id, &after.version));
    let versions = server.curriculum("c").await.curriculum.unwrap().versions;
    assert_eq!(versions, [after.version, before.version]);
}

/// More samples than fit one message. All but a few are missing files, which cost next to nothing.
#[tokio::test]
async fn weights_beyond_one_message_come_in_chunks() {
    const SAMPLES: usize = 262_144 + 100;
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let images = data::images(64);
    data::write_folder(&home.path("images"), &images);
    // Each image many times: equal bytes are extracted once.
    let rows = (0..SAMPLES).map(|index| {
        let image = &images[index % images.len()];
        data::row(&index.to_string(), &image.key, "")
    });
    let source = data::write_rows(&home.path("images"), rows);
    let job = server.publish(submission("c", &source, 2)).await;
    assert_eq!((job.sample_count, job.failed_count), (SAMPLES as u64, 0));

    let request = weights_of("c", 0, Order::EasyFirst);
    let whole = server.weights(request.clone()).await.unwrap();
    assert_eq!((whole.values.len(), whole.chunks), (SAMPLES, 5));
    assert!((whole.sum() - 1.0).abs() < SUM, "{}", whole.sum());
    let range = Some(v1::IndexRange {
        start: 10,
        end: SAMPLES as u64 - 10,
    });
    let part = server
        .weights(v1::GetWeightsRequest { range, ..request })
        .await
        .unwrap();
    assert_eq!(part.bits(), whole.bits()[10..SAMPLES - 10]);
}
