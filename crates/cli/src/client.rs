//! Connecting to a server.

use crate::exit::{BadInput, Unreachable};
use curriculum_proto::v1::{
    curriculum_service_client::CurriculumServiceClient, ingest_service_client::IngestServiceClient,
};
use std::{error::Error, time::Duration};
use tonic::transport::{Channel, Endpoint};

/// Lists of jobs and summaries with long ids may outgrow gRPC's default of 4 MiB.
const MAX_MESSAGE: usize = 64 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server whose machine died sends nothing more: a call that waits for its next message finds out by
/// asking for a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// Where the server is.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ServerArgs {
    /// Address of the server.
    #[arg(
        long,
        value_name = "URL",
        env = "CURRICULUM__SERVER",
        default_value = "http://127.0.0.1:50051"
    )]
    pub(crate) server: String,
}

impl ServerArgs {
    /// The jobs' side.
    pub(crate) async fn ingest(&self) -> anyhow::Result<IngestServiceClient<Channel>> {
        let client = IngestServiceClient::new(self.connect().await?);
        Ok(client.max_decoding_message_size(MAX_MESSAGE))
    }

    /// The trainers' side.
    pub(crate) async fn curricula(&self) -> anyhow::Result<CurriculumServiceClient<Channel>> {
        let client = CurriculumServiceClient::new(self.connect().await?);
        Ok(client.max_decoding_message_size(MAX_MESSAGE))
    }

    async fn connect(&self) -> anyhow::Result<Channel> {
        let endpoint = Endpoint::from_shared(self.server.clone());
        let endpoint =
            endpoint.map_err(|error| BadInput(format!("--server `{}`: {error}", self.server)))?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(SIGN_OF_LIFE)
            .keep_alive_timeout(SIGN_OF_LIFE);
        let connected = endpoint.connect().await;
        Ok(connected.map_err(|error| {
            // The outermost text is only "transport error": the cause says what happened.
            let cause = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            Unreachable {
                server: self.server.clone(),
                cause,
            }
        })?)
    }
}
