//! `grpc.health.v1`, answered from the lifecycle.
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
use futures_util::stream::{self, BoxStream, StreamExt};
use std::sync::Arc;
use tokio::sync::watch;
use tonic::{Request, Response, Status, server::NamedService};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health as HealthService, HealthServer},
};

const ALL: &str = "";
const READ: &str = CurriculumServiceServer::<Curricula>::NAME;
const WRITE: &str = IngestServiceServer::<Ingest>::NAME;

/// Clones share the end.
#[derive(Clone)]
pub(crate) struct Health {
    lifecycle: Lifecycle,
    /// Whether watches are over.
    ended: Arc<watch::Sender<bool>>,
}

impl Health {
    pub(crate) fn of(lifecycle: &Lifecycle) -> Self {
        Self {
            lifecycle: lifecycle.clone(),
            ended: Arc::new(watch::Sender::new(false)),
        }
    }

    pub(crate) fn service(&self) -> HealthServer<Self> {
        HealthServer::new(self.clone())
    }

    /// Ends the streams of those who watch: they would keep a connection open for ever.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }
}

#[tonic::async_trait]
impl HealthService for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match status(&request.get_ref().service, self.lifecycle.now()) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("there is no such service")),
            status => Ok(Response::new(answer(status))),
        }
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watching = Watching {
            service: request.into_inner().service,
            lifecycle: self.lifecycle.watch(),
            ended: self.ended.subscribe(),
            told: None,
        };
        let statuses = stream::unfold(watching, async |mut watching| {
            let status = watching.next().await?;
            Some((Ok(answer(status)), watching))
        });
        Ok(Response::new(statuses.boxed()))
    }
}

/// A client that is told of each change, and of nothing else.
struct Watching {
    service: String,
    lifecycle: watch::Receiver<Standing>,
    ended: watch::Receiver<bool>,
    told: Option<ServingStatus>,
}

impl Watching {
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            let status = status(&self.service, *self.lifecycle.borrow_and_update());
            if self.told.replace(status) != Some(status) {
                return Some(status);
            }
            tokio::select! {
                biased;
                // What came before the end is told before it.
                changed = self.lifecycle.changed() => changed.ok()?,
                _ = self.ended.wait_for(|ended| *ended) => return None,
            }
        }
    }
}

fn status(service: &str, standing: Standing) -> ServingStatus {
    let serving = match service {
        ALL | READ => standing.reads(),
        WRITE => standing.ingests(),
        _ => return ServingStatus::ServiceUnknown,
    };
    match serving {
        true => ServingStatus::Serving,
        false => ServingStatus::NotServing,
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{ModelPhase, Phase};
    use ServingStatus::{NotServing, ServiceUnknown, Serving};
    use futures_util::FutureExt;

    type Statuses = BoxStream<'static, ServingStatus>;

    async fn watch(health: &Health, service: &str) -> Statuses {
        let service = service.to_owned();
        let request = Request::new(HealthCheckRequest { service });
        let answers = health.watch(request).await.unwrap().into_inner();
        answers.map(|answer| answer.unwrap().status()).boxed()
    }

    /// All that is there to be told; whether that was the end.
    fn news(statuses: &mut Statuses) -> (Vec<ServingStatus>, bool) {
        let mut news = Vec::new();
        while let Some(next) = statuses.next().now_or_never() {
            match next {
                Some(status) => news.push(status),
                None => return (news, true),
            }
        }
        (news, false)
    }

    /// A server that opens, loads its model and drains.
    #[tokio::test]
    async fn watchers_are_told_of_changes_alone() {
        let lifecycle = Lifecycle::new();
        let health = Health::of(&lifecycle);
        let mut all = watch(&health, ALL).await;
        let mut write = watch(&health, WRITE).await;
        let mut other = watch(&health, "other").await;
        assert_eq!(news(&mut all), (vec![NotServing], false));
        assert_eq!(news(&mut write), (vec![NotServing], false));
        assert_eq!(news(&mut other), (vec![ServiceUnknown], false));

        lifecycle.enter(Phase::Serving);
        assert_eq!(news(&mut all), (vec![Serving], false));
        lifecycle.set_model(ModelPhase::Ready);
        assert_eq!(news(&mut all), (vec![], false));
        assert_eq!(news(&mut write), (vec![Serving], false));

        lifecycle.enter(Phase::Draining);
        health.end();
        assert_eq!(news(&mut all), (vec![NotServing], true));
        assert_eq!(news(&mut write), (vec![NotServing], true));
        assert_eq!(news(&mut other), (vec![], true));
    }

    #[tokio::test]
    async fn checks_of_unknown_services_are_refused() {
        let health = Health::of(&Lifecycle::new());
        for (service, code) in [(READ, None), ("other", Some(tonic::Code::NotFound))] {
            let service = service.to_owned();
            let answer = health.check(Request::new(HealthCheckRequest { service }));
            assert_eq!(answer.await.err().map(|status| status.code()), code);
        }
    }
}
