//! `grpc.health.v1`, kept in step with the lifecycle.
//!
//! The empty service and `CurriculumService` are SERVING while reads should come here,
//! `IngestService` while images can be taken, too.

use crate::{
    lifecycle::{Lifecycle, Standing},
    service::{curriculum::Curricula, ingest::Ingest},
};
use curriculum_proto::v1::{
    curriculum_service_server::CurriculumServiceServer, ingest_service_server::IngestServiceServer,
};
use tonic::server::NamedService;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

const ALL: &str = "";
const READ: &str = CurriculumServiceServer::<Curricula>::NAME;
const WRITE: &str = IngestServiceServer::<Ingest>::NAME;

pub(crate) struct Health(HealthReporter);

impl Health {
    /// In step from the first answer on.
    pub(crate) async fn of(lifecycle: &Lifecycle) -> Self {
        let reporter = HealthReporter::new();
        let mut standing = lifecycle.watch();
        let now = *standing.borrow_and_update();
        report(&reporter, now).await;
        let mirror = reporter.clone();
        tokio::spawn(async move {
            while standing.changed().await.is_ok() {
                let now = *standing.borrow_and_update();
                report(&mirror, now).await;
            }
        });
        Self(reporter)
    }

    pub(crate) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.0.clone()))
    }

    /// Brings it in step now, and not a moment later.
    pub(crate) async fn tell(&self, standing: Standing) {
        report(&self.0, standing).await;
    }

    /// Ends the streams of those who watch: they would keep a connection open for ever.
    pub(crate) async fn end(mut self) {
        for service in [ALL, READ, WRITE] {
            self.0.clear_service_status(service).await;
        }
    }
}

async fn report(reporter: &HealthReporter, standing: Standing) {
    for (service, serving) in [
        (ALL, standing.reads()),
        (READ, standing.reads()),
        (WRITE, standing.ingests()),
    ] {
        let status = match serving {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        reporter.set_service_status(service, status).await;
    }
}
