//! `grpc.health.v1`, kept in step with the lifecycle.
//!
//! The empty service and `CurriculumService` are SERVING while reads should come here,
//! `IngestService` while images can be taken, too.

use crate::{
    lifecycle::Lifecycle,
    service::{curriculum::Curricula, ingest::Ingest},
};
use curriculum_proto::v1::{
    curriculum_service_server::CurriculumServiceServer, ingest_service_server::IngestServiceServer,
};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Mutex;
use tonic::server::NamedService;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

const ALL: &str = "";
const READ: &str = CurriculumServiceServer::<Curricula>::NAME;
const WRITE: &str = IngestServiceServer::<Ingest>::NAME;

/// Shared by all that move it.
#[derive(Clone)]
pub(crate) struct Health {
    reporter: HealthReporter,
    lifecycle: Lifecycle,
    /// What watchers know, by service: they are told of changes, and of nothing else.
    told: Arc<Mutex<HashMap<&'static str, bool>>>,
}

impl Health {
    /// In step from the first answer on.
    pub(crate) async fn of(lifecycle: &Lifecycle) -> Self {
        let health = Self {
            reporter: HealthReporter::new(),
            lifecycle: lifecycle.clone(),
            told: Arc::default(),
        };
        let mut changes = lifecycle.watch();
        health.tell().await;
        let mirror = health.clone();
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                mirror.tell().await;
            }
        });
        health
    }

    pub(crate) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    /// Brings it in step with the lifecycle now, and not a moment later.
    pub(crate) async fn tell(&self) {
        let mut told = self.told.lock().await;
        let standing = self.lifecycle.now();
        for (service, serving) in [
            (ALL, standing.reads()),
            (READ, standing.reads()),
            (WRITE, standing.ingests()),
        ] {
            if told.insert(service, serving) == Some(serving) {
                continue;
            }
            let status = match serving {
                true => ServingStatus::Serving,
                false => ServingStatus::NotServing,
            };
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// Ends the streams of those who watch: they would keep a connection open for ever.
    pub(crate) async fn end(mut self) {
        for service in [ALL, READ, WRITE] {
            self.reporter.clear_service_status(service).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{ModelPhase, Phase};
    use std::time::Duration;
    use tokio::time::timeout;
    use tokio_stream::StreamExt;
    use tonic::Request;
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus as Status,
        health_server::Health as _,
    };

    /// Opens, loads its model, is told twice, and drains: a watcher of reads hears of the first and the last.
    #[tokio::test]
    async fn watchers_are_told_of_changes_alone() {
        let lifecycle = Lifecycle::new();
        let health = Health::of(&lifecycle).await;
        let service = HealthService::from_health_reporter(health.reporter.clone());
        let watch = async |service_name: &str| {
            let service_name = service_name.to_owned();
            let request = HealthCheckRequest {
                service: service_name,
            };
            let answer = service.watch(Request::new(request)).await.unwrap();
            answer.into_inner().map(|status| status.unwrap().status())
        };
        let (mut all, mut write) = (watch(ALL).await, watch(WRITE).await);
        assert_eq!(all.next().await, Some(Status::NotServing));
        assert_eq!(write.next().await, Some(Status::NotServing));

        lifecycle.enter(Phase::Serving);
        health.tell().await;
        assert_eq!(all.next().await, Some(Status::Serving));
        lifecycle.set_model(ModelPhase::Ready);
        health.tell().await;
        assert_eq!(write.next().await, Some(Status::Serving));
        let more = timeout(Duration::from_millis(200), all.next()).await;
        assert!(more.is_err(), "{more:?}");

        lifecycle.enter(Phase::Draining);
        assert_eq!(all.next().await, Some(Status::NotServing));
        assert_eq!(write.next().await, Some(Status::NotServing));
        health.end().await;
    }
}
