//! Listen, open, serve, drain.
//!
//! The ports are bound first: probes answer while the data folder is opened and, of a read-only server, filled;
//! calls are UNAVAILABLE until then. Told to stop, the server is not ready any more but serves on for a while, so that whoever sends
//! calls here hears of it; then it refuses new connections, lets open calls finish, stops the job at its
//! next chunk and flushes. A second signal cuts all of that short but the flush.

mod door;
mod listen;
mod open;

use crate::{
    config::{Config, ConfigError},
    entrance::Entrance,
    health::Health,
    lifecycle::{Lifecycle, Phase},
    metrics::{self, MetricsError},
    side::Side,
    transport::reload::FileError,
};
use curriculum_extractor::ExtractorError;
use curriculum_manifest::AccessError;
use curriculum_proto::v1::FILE_DESCRIPTOR_SET;
use curriculum_store::StoreError;
use door::Door;
pub use door::serve_only;
pub use listen::Listeners;
use open::Opened;
use std::{io, net::SocketAddr, path::PathBuf, time::Duration};
use tokio::{
    sync::{oneshot, watch},
    task::JoinError,
};
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;

/// Time that the job gets to stop, once nobody wants to wait any more.
const CUT: Duration = Duration::from_secs(2);

/// Why a server did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model, the library or the execution provider cannot be used.
    #[error(transparent)]
    Extractor(#[from] ExtractorError),
    /// The folder of temporary files cannot be made.
    #[error("cannot create {}: {source}", path.display())]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The allow-list cannot be used.
    #[error("sources.allow: {0}")]
    Access(#[from] AccessError),
    /// The folder that versions are shared in cannot be used.
    #[error(transparent)]
    Versions(#[from] ConfigError),
    /// Nothing can be counted.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// A certificate or a key cannot be used.
    #[error("{setting}: {error}")]
    File {
        /// The setting that names the file.
        setting: &'static str,
        /// What is wrong with it.
        error: FileError,
    },
    /// Reflection could not be set up.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// No thread for the model or the meter.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// Something panicked.
    #[error("a part of the server failed: {0}")]
    Failed(#[from] JoinError),
}

/// Serves from the first port on until told to stop, and returns when everything is on disk.
///
/// The first item of `signals` begins the drain, the second cuts it short. `opened` is called once calls
/// are answered.
///
/// # Errors
/// When a certificate, a key, the data folder or, if it is required, the model cannot be used; when the last
/// flush fails.
pub async fn serve(
    config: Config,
    listeners: Listeners,
    mut signals: impl Stream<Item = ()> + Send + Unpin + 'static,
    opened: impl FnOnce(),
) -> Result<(), ServeError> {
    let metrics = metrics::install()?;
    let _upkeep = metrics::keep_up(metrics.clone());
    let door = Door::open(&config)?;
    let lifecycle = Lifecycle::new();
    let side = Side::start(listeners.http, metrics, lifecycle.clone());
    let health = Health::of(&lifecycle);
    let entrance = Entrance::new(early(&health, config.reflection())?);
    let (close, closed) = oneshot::channel();
    let closed = async move {
        let _ = closed.await;
    };
    let mut transport = tokio::spawn(door.serve(listeners.grpc, entrance.clone(), closed));

    let (settings, standing) = (config.clone(), lifecycle.clone());
    let open = tokio::task::spawn_blocking(move || Opened::open(&settings, &standing));
    let open = tokio::select! {
        open = open => open??,
        _ = signals.next() => {
            tracing::info!("stopped before it was open");
            return Ok(());
        }
        ended = &mut transport => return Ok(ended?),
    };
    if !*open.copies.borrow() {
        lifecycle.enter(Phase::Copying);
    }
    // What a copy does not have yet would be said not to exist.
    tokio::select! {
        () = copied(open.copies.clone()) => {}
        _ = signals.next() => {
            tracing::info!("stopped before all was copied");
            open.stop_jobs().await;
            return Ok(open.store.flush()?);
        }
        ended = &mut transport => return Ok(ended?),
    }
    entrance.open(|early| open.services(early, &config));
    lifecycle.enter(Phase::Serving);
    opened();

    tokio::select! {
        _ = signals.next() => {}
        ended = &mut transport => {
            open.store.flush()?;
            return Ok(ended?);
        }
    }
    lifecycle.enter(Phase::Draining);
    let drain = async {
        let delay = Duration::from_secs(config.grpc.drain_delay_seconds);
        tracing::info!(
            seconds = delay.as_secs(),
            "draining, and serving on for a while"
        );
        tokio::time::sleep(delay).await;
        tracing::info!("stopping");
        let _ = close.send(());
        health.end();
        // Clients send for as long as they have samples: they are told to come back.
        open.stop_pushes();
        let time = Duration::from_secs(config.grpc.drain_seconds);
        let calls = async {
            // Watchers of jobs are told as the pipeline ends, so their calls end too.
            let (ended, ()) = tokio::join!(&mut transport, open.stop_jobs());
            Ok(ended?)
        };
        match tokio::time::timeout(time, calls).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::warn!(
                    seconds = time.as_secs(),
                    "time to drain is over, the rest is cut off"
                );
                Ok(())
            }
        }
    };
    let outcome = tokio::select! {
        outcome = drain => outcome,
        _ = signals.next() => {
            tracing::warn!("told again to stop, open calls are cut off");
            let _ = tokio::time::timeout(CUT, open.stop_jobs()).await;
            Ok(())
        }
    };
    open.store.flush()?;
    tracing::info!("stopped");
    side.end().await;
    outcome
}

/// Returns once all is here that is published.
async fn copied(mut copies: watch::Receiver<bool>) {
    // Who would tell is never gone before.
    let _ = copies.wait_for(|whole| *whole).await;
}

/// What is answered before the data folder is open.
fn early(health: &Health, reflection: bool) -> Result<Routes, ServeError> {
    let routes = Routes::new(health.service());
    if !reflection {
        return Ok(routes);
    }
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    Ok(routes.add_service(reflection))
}
