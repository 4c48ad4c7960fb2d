//! A server with one published version.

use curriculum::{
    Pacing, Sketch, difficulty::Normalization, effective, features::FeatureNormalization,
};
use curriculum_proto::v1::curriculum_service_client::CurriculumServiceClient;
use curriculum_server::{
    Config, Listeners, Overrides,
    config::{HttpAddr, Tls},
    serve,
};
use curriculum_store::{
    Clusters, Column, Digest, Parameters, ScheduleRecord, Score, Store, SummaryRecord,
    VersionRecord,
};
use tempfile::TempDir;
use tonic::transport::Channel;

pub(crate) const NAME: &str = "bench";
pub(crate) const WARMUP: u64 = 7_500;

/// Its data folder.
pub(crate) struct Home(TempDir);

impl Home {
    /// A version of so many samples, as a job would leave it.
    pub(crate) fn publish(samples: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let difficulty: Vec<f32> = (0..samples)
            .map(|i| ((i as f64 * 0.618_033_988_749).fract().powi(2)) as f32)
            .collect();
        let id = Digest::from([1; 32]);
        let values = difficulty.iter().map(|d| d.to_le_bytes());
        store.put_column(id, Column::Difficulty, values).unwrap();
        let sketch = Sketch::new(&difficulty);
        store.put_version(&version(id, samples), &sketch).unwrap();
        store.point(NAME, id).unwrap();
        store.flush().unwrap();
        Self(folder)
    }

    /// Serves it for the rest of the process; where.
    pub(crate) async fn url(&self) -> String {
        self.url_with(Tls::default()).await
    }

    /// As [`url`](Self::url), encrypted if there are files for it.
    pub(crate) async fn url_with(&self, tls: Tls) -> String {
        let overrides = Overrides {
            grpc_addr: Some(([127, 0, 0, 1], 0).into()),
            http_addr: Some(HttpAddr::Off),
            tls,
            data_dir: Some(self.0.path().to_owned()),
            ..Overrides::default()
        };
        let config = Config::load(None, &overrides).unwrap();
        let listeners = Listeners::bind(&config).unwrap();
        let address = listeners.grpc.local_addr().unwrap();
        let scheme = config.scheme();
        let (opened, open) = tokio::sync::oneshot::channel();
        let opened = || opened.send(()).unwrap();
        tokio::spawn(serve(config, listeners, tokio_stream::pending(), opened));
        open.await.unwrap();
        format!("{scheme}://{address}")
    }

    /// A client of it.
    pub(crate) async fn serve(&self) -> CurriculumServiceClient<Channel> {
        let url = self.url().await;
        CurriculumServiceClient::connect(url).await.unwrap()
    }
}

fn version(id: Digest, samples: u64) -> VersionRecord {
    VersionRecord {
        id,
        content: id,
        listing: id,
        source: String::new(),
        model: String::new(),
        model_digest: id,
        parameters: Parameters {
            clusters: Clusters::Fixed(1),
            seed: 0,
            max_failed_fraction: 0.0,
            by_label: false,
            min_cluster_size: 1,
            normalization: Normalization::default(),
            score: Score::default(),
            feature_normalization: FeatureNormalization::Standard,
            schedule: ScheduleRecord {
                initial: 0.125,
                warmup: WARMUP,
                pacing: Pacing::Linear,
                min_temperature: None,
                max_temperature: None,
                ceiling: effective::ceiling(samples, samples),
                draws: samples,
            },
        },
        created_at_ms: 0,
        summary: SummaryRecord {
            sample_count: samples,
            failed_count: 0,
            dimension: 1,
            inertia: 0.0,
            davies_bouldin: None,
            histogram: vec![],
            clusters: vec![],
            candidates: vec![],
            warnings: vec![],
            drift: None,
        },
    }
}
