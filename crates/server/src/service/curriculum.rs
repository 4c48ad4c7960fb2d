//! `CurriculumService`: what to draw, and when.

use super::{
    Caller, Messages, blocking, difficulty,
    sampling::{self, Drawing},
    versions, weights,
};
use crate::{
    access, from_proto,
    live::Live,
    metrics::answers,
    published::{Lack, Lookup, Published},
    to_proto,
};
use curriculum_proto::v1::{
    self, curriculum_service_server::CurriculumService, get_difficulty_response,
};
use std::{sync::Arc, time::Instant};
use tokio_stream::{StreamExt, once};
use tonic::{Request, Response, Status};

/// Rises when an older client would misread an answer.
pub(crate) const API_LEVEL: u32 = 1;

pub(crate) struct Curricula {
    published: Arc<Published>,
    live: Live,
    instance: String,
    exports: versions::Places,
}

impl Curricula {
    pub(crate) fn new(published: Arc<Published>, live: Live, instance: String) -> Self {
        Self {
            published,
            live,
            instance,
            exports: versions::Places::new(),
        }
    }
}

/// The message, if the caller may know of the curriculum that it names, with or without a version.
fn allowed<T>(request: Request<T>, curriculum: fn(&T) -> &str) -> Result<T, Status> {
    let name = curriculum(request.get_ref()).split('@').next();
    access::check(request.extensions(), name.unwrap_or_default())?;
    Ok(request.into_inner())
}

#[tonic::async_trait]
impl CurriculumService for Curricula {
    type GetWeightsStream = Messages<v1::GetWeightsResponse>;
    type GetDifficultyStream = Messages<v1::GetDifficultyResponse>;
    type ExportVersionStream = Messages<v1::ExportVersionResponse>;

    async fn get_weights(
        &self,
        request: Request<v1::GetWeightsRequest>,
    ) -> Result<Response<Self::GetWeightsStream>, Status> {
        let request = allowed(request, |request| &request.curriculum)?;
        let order = from_proto::order(request.order, request.order_seed)?;
        let (name, version) = from_proto::named(&request.curriculum, &request.version)?;
        let encoding = from_proto::encoding(request.encoding)?;
        let iteration = from_proto::iteration("iteration", request.iteration)?;
        let server_instance = self.instance.clone();
        let published = Arc::clone(&self.published);
        let mut begun = None;
        let work = move |lookup: &Lookup<'_>| {
            let begun = *begun.get_or_insert_with(Instant::now);
            let version = lookup.version(&name, &version)?;
            let range = from_proto::range(request.range, version.samples())?;
            let entry = version.entry(order, iteration);
            let weights = version.weights(order, entry.temperature).encoded(encoding);
            let encoding = to_proto::encoding(encoding);
            let etag = weights::etag(version.id, order, entry.temperature, &range, encoding);
            let not_modified = etag == request.if_none_match;
            let header = v1::WeightsHeader {
                version: version.id.to_string(),
                server_instance: server_instance.clone(),
                entry: Some(to_proto::entry(entry)),
                sample_count: version.samples(),
                range: Some(to_proto::range(&range)),
                encoding: encoding.into(),
                etag,
                not_modified,
                scale: weights.scale(),
                step: weights.step(),
                max_relative_error: weights.max_relative_error(),
            };
            let values = match not_modified {
                true => None,
                false => Some(weights::Values {
                    difficulties: lookup.difficulties(&version, order)?,
                    weights,
                    range,
                    published: Arc::clone(&published),
                    spent: weights::Spent::since(begun),
                }),
            };
            answers::show(&name, &entry);
            Ok(weights::messages(header, values))
        };
        Ok(Response::new(self.published.answer(work).await?))
    }

    async fn sample_indices(
        &self,
        request: Request<v1::SampleIndicesRequest>,
    ) -> Result<Response<v1::SampleIndicesResponse>, Status> {
        let sampling =
            from_proto::sampling::sampling(allowed(request, |request| &request.curriculum)?)?;
        let at_hand = sampling::is_at_hand(&self.published, &sampling);
        let (caller, left) = Caller::new();
        let mut drawing = Drawing::new(sampling, self.instance.clone(), left);
        if at_hand {
            match drawing.answer(&self.published.lookup()) {
                Ok(answer) => return Ok(Response::new(answer)),
                Err(Lack::Error(error)) => return Err(error.into()),
                // It has just gone.
                Err(Lack::Value(_)) => {}
            }
        }
        let work = move |lookup: &Lookup<'_>| drawing.answer(lookup);
        let answer = self.published.answer(work).await?;
        drop(caller);
        Ok(Response::new(answer))
    }

    async fn get_schedule(
        &self,
        request: Request<v1::GetScheduleRequest>,
    ) -> Result<Response<v1::GetScheduleResponse>, Status> {
        let request = allowed(request, |request| &request.curriculum)?;
        let order = from_proto::order(request.order, request.order_seed)?;
        let (name, version) = from_proto::named(&request.curriculum, &request.version)?;
        let iterations = from_proto::iterations(request.iterations)?;
        let server_instance = self.instance.clone();
        let work = move |lookup: &Lookup<'_>| {
            let version = lookup.version(&name, &version)?;
            let entries = iterations
                .iter()
                .map(|t| to_proto::entry(version.entry(order, *t)));
            Ok(v1::GetScheduleResponse {
                version: version.id.to_string(),
                server_instance: server_instance.clone(),
                sample_count: version.samples(),
                entries: entries.collect(),
            })
        };
        Ok(Response::new(self.published.answer(work).await?))
    }

    async fn get_difficulty(
        &self,
        request: Request<v1::GetDifficultyRequest>,
    ) -> Result<Response<Self::GetDifficultyStream>, Status> {
        let request = allowed(request, |request| &request.curriculum)?;
        let order = from_proto::order(request.order, request.order_seed)?;
        let (name, version) = from_proto::named(&request.curriculum, &request.version)?;
        from_proto::difficulty_only(&request)?;
        let server_instance = self.instance.clone();
        let published = Arc::clone(&self.published);
        let work = move |lookup: &Lookup<'_>| {
            let record = published.describe(&name, &version)?;
            let samples = record.summary.sample_count;
            let range = from_proto::range(request.range, samples)?;
            let header = v1::DifficultyHeader {
                version: record.id.to_string(),
                server_instance: server_instance.clone(),
                sample_count: samples,
                range: Some(to_proto::range(&range)),
            };
            let reader = difficulty::Reader {
                reassigned: lookup.reassigned(record.id, order)?,
                published: Arc::clone(&published),
                version: record.id,
                listing: request.with_ids.then_some(record.listing),
                difficulty_only: request.difficulty_only,
            };
            Ok((header, reader, range))
        };
        let (header, reader, range) = self.published.answer(work).await?;
        let header = v1::GetDifficultyResponse {
            part: Some(get_difficulty_response::Part::Header(header)),
        };
        let chunks = difficulty::messages(reader, range);
        Ok(Response::new(Box::pin(once(Ok(header)).chain(chunks))))
    }

    async fn get_curriculum(
        &self,
        request: Request<v1::GetCurriculumRequest>,
    ) -> Result<Response<v1::GetCurriculumResponse>, Status> {
        let request = allowed(request, |request| &request.curriculum)?;
        let (name, version) = from_proto::named(&request.curriculum, &request.version)?;
        let published = Arc::clone(&self.published);
        let extractor = self.live.get().map(to_proto::extractor);
        let work = move || {
            let (record, id) = published.find(&name, &version)?;
            Ok(v1::GetCurriculumResponse {
                curriculum: Some(to_proto::curriculum(name, record)),
                version: published.store().version(id)?.map(to_proto::version),
                extractor,
                server_version: env!("CARGO_PKG_VERSION").to_owned(),
                api_level: API_LEVEL,
            })
        };
        Ok(Response::new(blocking(work).await?))
    }

    async fn list_curricula(
        &self,
        request: Request<v1::ListCurriculaRequest>,
    ) -> Result<Response<v1::ListCurriculaResponse>, Status> {
        let published = Arc::clone(&self.published);
        let work = move || {
            let curricula = published.store().curricula()?.into_iter();
            Ok(curricula
                .filter(|(name, _)| access::sees(request.extensions(), name))
                .map(|(name, record)| to_proto::curriculum(name, record))
                .collect())
        };
        Ok(Response::new(v1::ListCurriculaResponse {
            curricula: blocking(work).await?,
        }))
    }

    async fn export_version(
        &self,
        request: Request<v1::ExportVersionRequest>,
    ) -> Result<Response<Self::ExportVersionStream>, Status> {
        let request = allowed(request, |request| &request.curriculum)?;
        let (name, version) = from_proto::named(&request.curriculum, &request.version)?;
        let published = Arc::clone(&self.published);
        let store = Arc::clone(published.store());
        let find = move || Ok(published.find(&name, &version)?.1);
        let messages = versions::export(store, &self.exports, find).await?;
        Ok(Response::new(messages))
    }
}
