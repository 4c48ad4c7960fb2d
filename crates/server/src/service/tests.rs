//! The reading side on a real store, without a network.

mod difficulty;
mod orders;
mod sampling;
mod versions;
mod weights;

use super::curriculum::Curricula;
use crate::{config::Storage, live::LiveExtractor, published::Published};
use curriculum::{
    Pacing, Sketch, difficulty::Normalization, effective, features::FeatureNormalization,
};
use curriculum_extractor::ExecutionProvider;
use curriculum_pipeline::{Pipeline, PipelineOptions};
use curriculum_proto::v1::{
    self, Order, curriculum_service_server::CurriculumService, get_difficulty_response,
    get_weights_response,
};
use curriculum_store::{
    ClusteringRecord, Clusters, Column, Digest, Parameters, SAMPLES_PER_CHUNK, SampleRecord,
    ScheduleRecord, Score, Store, SummaryRecord, VersionRecord,
};
use prost::Message;
use std::sync::Arc;
use tokio_stream::StreamExt;
use tonic::{Request, Status};

struct Home {
    curricula: Curricula,
    store: Arc<Store>,
    published: Arc<Published>,
    ids: Vec<String>,
    _folder: tempfile::TempDir,
}

fn difficulty(index: usize) -> f32 {
    ((index as f64 * 0.618_033_988_749).fract().powi(2)) as f32
}

fn on_two_gpus() -> LiveExtractor {
    LiveExtractor {
        model: "vit".to_owned(),
        execution_provider: ExecutionProvider::TensorRt,
        device_ids: vec![0, 2],
        nodes: [("TensorrtExecutionProvider".to_owned(), 7)].into(),
    }
}

fn parameters(samples: u64) -> Parameters {
    Parameters {
        clusters: Clusters::Fixed(3),
        seed: 0,
        max_failed_fraction: 0.0,
        by_label: false,
        min_cluster_size: 1,
        normalization: Normalization::ClusterMinMax,
        score: Score::Distance,
        feature_normalization: FeatureNormalization::Standard,
        schedule: ScheduleRecord {
            initial: 0.2,
            warmup: 1_000,
            pacing: Pacing::Cosine,
            min_temperature: None,
            max_temperature: Some(0.2),
            ceiling: effective::ceiling(samples, samples),
            draws: samples,
        },
    }
}

fn one_cluster() -> ClusteringRecord {
    ClusteringRecord {
        clusters: 1,
        dimension: 1,
        inertia: 0.0,
        davies_bouldin: None,
        candidates: vec![],
        labels: vec![],
        warnings: vec![],
        basis: None,
        drift: None,
    }
}

impl Home {
    /// A published version `c` of samples with these ids; the second sample has no features.
    fn new(ids: Vec<String>) -> Self {
        Self::with(ids, &Storage::default())
    }

    fn with(ids: Vec<String>, storage: &Storage) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let id = Digest::from([5; 32]);
        let count = ids.len();
        let values: Vec<f32> = (0..count).map(difficulty).collect();
        let distance = (0..count).map(|i| {
            if i == 1 {
                f32::NAN
            } else {
                2.0 * difficulty(i)
            }
        });
        let cluster = (0..count).map(|i| if i == 1 { u32::MAX } else { i as u32 % 3 });
        let columns = [
            (
                Column::Difficulty,
                values.iter().map(|d| d.to_le_bytes()).collect(),
            ),
            (Column::Distance, distance.map(f32::to_le_bytes).collect()),
            (
                Column::Cluster,
                cluster.map(u32::to_le_bytes).collect::<Vec<_>>(),
            ),
            (Column::Centroids, vec![[0; 4]]),
        ];
        for (column, values) in columns {
            store.put_column(id, column, values.into_iter()).unwrap();
        }
        let samples: Vec<SampleRecord> = ids
            .iter()
            .enumerate()
            .map(|(index, id)| SampleRecord {
                id: id.clone(),
                label: (index % 2 == 0).then(|| format!("label {index}")),
                ..SampleRecord::default()
            })
            .collect();
        for (chunk, samples) in (0..).zip(samples.chunks(SAMPLES_PER_CHUNK as usize)) {
            store.put_sample_chunk(id, chunk, samples).unwrap();
        }
        let version = VersionRecord {
            id,
            content: id,
            listing: id,
            source: String::new(),
            model: String::new(),
            model_digest: id,
            parameters: parameters(count as u64),
            created_at_ms: 0,
            summary: SummaryRecord {
                sample_count: count as u64,
                failed_count: 1,
                dimension: 1,
                inertia: 0.0,
                davies_bouldin: None,
                histogram: vec![],
                clusters: vec![],
                candidates: vec![],
                warnings: vec!["careful".to_owned()],
                drift: None,
            },
        };
        store.put_clustering(id, &one_cluster()).unwrap();
        store.put_version(&version, &Sketch::new(&values)).unwrap();
        store.point("c", id).unwrap();
        let pipeline = Pipeline::start(Arc::clone(&store), PipelineOptions::default()).unwrap();
        let published = Published::new(Arc::clone(&store), Arc::new(pipeline), storage);
        let published = Arc::new(published);
        Self {
            curricula: Curricula::new(
                Arc::clone(&published),
                Arc::new(on_two_gpus().into()),
                "this".to_owned(),
            ),
            store,
            published,
            ids,
            _folder: folder,
        }
    }

    fn short(count: usize) -> Self {
        Self::short_with(count, &Storage::default())
    }

    fn short_with(count: usize, storage: &Storage) -> Self {
        Self::with((0..count).map(|i| format!("s{i}")).collect(), storage)
    }

    /// Header and chunks, whose order and bounds are checked.
    async fn difficulty(
        &self,
        range: Option<v1::IndexRange>,
        with_ids: bool,
    ) -> Result<(v1::DifficultyHeader, Vec<v1::DifficultyChunk>), Status> {
        let request = v1::GetDifficultyRequest {
            range,
            with_ids,
            ..Default::default()
        };
        self.difficulty_of(request).await
    }

    async fn difficulty_of(
        &self,
        request: v1::GetDifficultyRequest,
    ) -> Result<(v1::DifficultyHeader, Vec<v1::DifficultyChunk>), Status> {
        let (with_ids, alone) = (request.with_ids, request.difficulty_only);
        let request = v1::GetDifficultyRequest {
            curriculum: "c".to_owned(),
            ..request
        };
        let answer = self.curricula.get_difficulty(Request::new(request)).await?;
        let mut messages = answer.into_inner();
        let first = messages.next().await.unwrap()?.part;
        let Some(get_difficulty_response::Part::Header(header)) = first else {
            panic!("the first message is no header");
        };
        let mut next = header.range.unwrap().start;
        let mut chunks: Vec<v1::DifficultyChunk> = Vec::new();
        let mut hasher = crc32fast::Hasher::new();
        let mut end = None;
        while let Some(message) = messages.next().await {
            let message = message?;
            let bytes = message.encoded_len();
            assert_eq!(end, None, "a message after the last");
            let chunk = match message.part.unwrap() {
                get_difficulty_response::Part::Header(_) => panic!("a second header"),
                get_difficulty_response::Part::Chunk(chunk) => chunk,
                get_difficulty_response::Part::End(last) => {
                    end = Some(last);
                    continue;
                }
            };
            hasher.update(&chunk.difficulty);
            let samples = chunk.difficulty.len() / 4;
            assert!(bytes <= 1 << 20 || samples == 1, "{samples} in {bytes}");
            assert_eq!(chunk.start, next);
            assert_eq!(
                [chunk.distance.len(), chunk.cluster.len()],
                [if alone { 0 } else { 4 * samples }; 2]
            );
            let named = if with_ids { samples } else { 0 };
            assert_eq!([chunk.ids.len(), chunk.labels.len()], [named; 2]);
            next += samples as u64;
            chunks.push(chunk);
        }
        assert_eq!(next, header.range.unwrap().end);
        assert_eq!(end.unwrap().crc32, hasher.finalize());
        Ok((header, chunks))
    }

    async fn weights(
        &self,
        order: Order,
        order_seed: u64,
        range: Option<v1::IndexRange>,
    ) -> Vec<f32> {
        let request = v1::GetWeightsRequest {
            curriculum: "c".to_owned(),
            iteration: 10,
            order: order.into(),
            order_seed,
            range,
            ..Default::default()
        };
        let answer = self.curricula.get_weights(Request::new(request)).await;
        let mut messages = answer.unwrap().into_inner();
        let mut weights = Vec::new();
        while let Some(message) = messages.next().await {
            if let Some(get_weights_response::Part::Chunk(chunk)) = message.unwrap().part {
                weights.extend(floats(&chunk.values));
            }
        }
        weights
    }

    async fn schedule(&self, order: Order, iterations: Vec<u64>) -> Vec<v1::ScheduleEntry> {
        let request = v1::GetScheduleRequest {
            curriculum: "c".to_owned(),
            iterations,
            order: order.into(),
            order_seed: 3,
            ..Default::default()
        };
        let answer = self.curricula.get_schedule(Request::new(request)).await;
        answer.unwrap().into_inner().entries
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let values = bytes.as_chunks::<4>().0.iter();
    values.map(|value| f32::from_le_bytes(*value)).collect()
}

fn some(start: u64, end: u64) -> Option<v1::IndexRange> {
    Some(v1::IndexRange { start, end })
}

#[tokio::test]
async fn control_orders_deal_the_same_weights_to_other_samples() {
    let home = Home::short(5_000);
    let sorted = |mut weights: Vec<f32>| {
        weights.sort_by(f32::total_cmp);
        weights
    };
    let easy = home.weights(Order::EasyFirst, 0, None).await;
    let reversed = home.weights(Order::Reversed, 0, None).await;
    let shuffled = home.weights(Order::Shuffled, 1, None).await;
    let other = home.weights(Order::Shuffled, 2, None).await;
    for control in [&reversed, &shuffled, &other] {
        assert_ne!(*control, easy);
        assert_eq!(sorted(control.clone()), sorted(easy.clone()));
    }
    assert_ne!(shuffled, other);
    let largest = |weights: &[f32]| (0..5_000).max_by(|a, b| weights[*a].total_cmp(&weights[*b]));
    let hardest = (0..5_000).max_by(|a, b| difficulty(*a).total_cmp(&difficulty(*b)));
    assert_eq!(largest(&reversed), hardest);
    assert_eq!(
        home.weights(Order::Shuffled, 1, some(40, 90)).await,
        shuffled[40..90]
    );
    assert_eq!(home.weights(Order::Reversed, 7, None).await, reversed);

    let iterations = vec![0, 10, 999, 1_000];
    let easy = home.schedule(Order::EasyFirst, iterations.clone()).await;
    for order in [Order::Reversed, Order::Shuffled] {
        assert_eq!(home.schedule(order, iterations.clone()).await, easy);
    }
}

#[tokio::test]
async fn the_schedule_of_a_version_is_followed() {
    let home = Home::short(1_000);
    let entries = home.schedule(Order::EasyFirst, vec![0, 999, 1_000]).await;
    assert_eq!(entries[0].status(), v1::SolverStatus::Ok);
    assert!((entries[0].effective_fraction - 0.2).abs() < 1e-6);
    assert_eq!(entries[1].status(), v1::SolverStatus::Clamped);
    assert_eq!(entries[1].temperature, 0.2);
    assert_eq!(entries[2].status(), v1::SolverStatus::Uniform);

    let request = v1::GetCurriculumRequest {
        curriculum: "c".to_owned(),
        version: String::new(),
    };
    let answer = home.curricula.get_curriculum(Request::new(request)).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.server_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(answer.api_level, 1);
    let extractor = answer.extractor.unwrap();
    assert_eq!(extractor.model, "vit");
    assert_eq!(extractor.execution_provider, "tensorrt");
    assert_eq!(extractor.device_ids, [0, 2]);
    assert_eq!(extractor.nodes_by_provider["TensorrtExecutionProvider"], 7);
    let version = answer.version.unwrap();
    let parameters = version.parameters.unwrap();
    let schedule = parameters.schedule.unwrap();
    assert_eq!(schedule.pacing(), v1::Pacing::Cosine);
    assert_eq!(
        (schedule.max_temperature, schedule.draws),
        (Some(0.2), Some(1_000))
    );
    assert_eq!(parameters.min_cluster_size, Some(1));
    assert_eq!(version.summary.unwrap().warnings, ["careful"]);
}
