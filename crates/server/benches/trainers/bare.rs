//! What tonic takes alone: the same calls, answered with constant bytes.

use crate::{BATCH, Client, IMAGENET};
use bytes::Bytes;
use curriculum_proto::v1::{
    self,
    curriculum_service_client::CurriculumServiceClient,
    curriculum_service_server::{CurriculumService, CurriculumServiceServer},
    get_weights_response::Part,
};
use std::pin::Pin;
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

const CHUNK: u64 = 1 << 20;

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A client of a service that serves for the rest of the process.
pub(crate) async fn serve() -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = Server::builder()
        .add_service(CurriculumServiceServer::new(Bare::new()))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    tokio::spawn(serving);
    CurriculumServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap()
}

pub(crate) struct Bare {
    chunk: Bytes,
}

impl Bare {
    pub(crate) fn new() -> Self {
        Self {
            chunk: vec![7; CHUNK as usize].into(),
        }
    }
}

#[tonic::async_trait]
impl CurriculumService for Bare {
    type GetWeightsStream = Messages<v1::GetWeightsResponse>;
    type GetDifficultyStream = Messages<v1::GetDifficultyResponse>;
    type ExportVersionStream = Messages<v1::ExportVersionResponse>;

    async fn get_weights(
        &self,
        request: Request<v1::GetWeightsRequest>,
    ) -> Result<Response<Self::GetWeightsStream>, Status> {
        let width = match request.into_inner().encoding() {
            v1::Encoding::F16 | v1::Encoding::U16 => 2,
            v1::Encoding::F32 | v1::Encoding::Unspecified => 4,
        };
        let chunk = self.chunk.clone();
        let bytes = IMAGENET * width;
        let messages = (0..bytes).step_by(CHUNK as usize).map(move |start| {
            let length = CHUNK.min(bytes - start) as usize;
            let chunk = v1::WeightsChunk {
                start: start / width,
                values: chunk.slice(..length),
            };
            Ok(v1::GetWeightsResponse {
                part: Some(Part::Chunk(chunk)),
            })
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }

    async fn sample_indices(
        &self,
        _: Request<v1::SampleIndicesRequest>,
    ) -> Result<Response<v1::SampleIndicesResponse>, Status> {
        Ok(Response::new(v1::SampleIndicesResponse {
            indices: self.chunk.slice(..4 * BATCH as usize),
            ..Default::default()
        }))
    }

    async fn get_schedule(
        &self,
        _: Request<v1::GetScheduleRequest>,
    ) -> Result<Response<v1::GetScheduleResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_difficulty(
        &self,
        _: Request<v1::GetDifficultyRequest>,
    ) -> Result<Response<Self::GetDifficultyStream>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_curriculum(
        &self,
        _: Request<v1::GetCurriculumRequest>,
    ) -> Result<Response<v1::GetCurriculumResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn list_curricula(
        &self,
        _: Request<v1::ListCurriculaRequest>,
    ) -> Result<Response<v1::ListCurriculaResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn export_version(
        &self,
        _: Request<v1::ExportVersionRequest>,
    ) -> Result<Response<Self::ExportVersionStream>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}
