//! What the side port answers.

use crate::{
    lifecycle::{Lifecycle, ModelPhase, Phase},
    metrics,
    service::curriculum::API_LEVEL,
};
use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;

/// Content type of the text format, version 0.0.4.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The commit that was built, if the build was told: `CURRICULUM_GIT_COMMIT` in its environment.
pub(crate) const GIT_COMMIT: Option<&str> = option_env!("CURRICULUM_GIT_COMMIT");

/// The compiler that built the server.
pub(crate) const RUST_VERSION: &str = env!("CURRICULUM_RUST_VERSION");

/// The server's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn router(handle: PrometheusHandle, lifecycle: Lifecycle) -> Router {
    let started = lifecycle.clone();
    Router::new()
        .route("/livez", get(async || (StatusCode::OK, "ok\n")))
        .route("/startupz", get(async move || startup(&started)))
        .route("/readyz", get(async move || readiness(&lifecycle)))
        .route("/metrics", get(async move || text(&handle)))
        .route("/version", get(async || version()))
}

fn startup(lifecycle: &Lifecycle) -> (StatusCode, &'static str) {
    match lifecycle.now().phase {
        Phase::Starting => (
            StatusCode::SERVICE_UNAVAILABLE,
            "starting: data folder and model are being opened\n",
        ),
        Phase::Copying => (
            StatusCode::SERVICE_UNAVAILABLE,
            "starting: copying what is published\n",
        ),
        Phase::Serving | Phase::Draining => (StatusCode::OK, "ok\n"),
    }
}

fn readiness(lifecycle: &Lifecycle) -> (StatusCode, &'static str) {
    let standing = lifecycle.now();
    match (standing.phase, standing.model) {
        (Phase::Starting | Phase::Copying, _) => startup(lifecycle),
        (Phase::Draining, _) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "draining: the server was told to stop\n",
        ),
        (Phase::Serving, ModelPhase::Ready) => (StatusCode::OK, "ok\n"),
        (Phase::Serving, ModelPhase::Loading) => {
            (StatusCode::OK, "ok, but the model is still being loaded\n")
        }
        (Phase::Serving, ModelPhase::Missing) => (
            StatusCode::OK,
            "ok, but there is no model: images are refused, the log says why\n",
        ),
        (Phase::Serving, ModelPhase::Unneeded) => (StatusCode::OK, "ok, read-only\n"),
    }
}

fn text(handle: &PrometheusHandle) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], metrics::text(handle))
}

fn version() -> impl IntoResponse + use<> {
    let version = serde_json::json!({
        "version": VERSION,
        "api_level": API_LEVEL,
        "git_commit": GIT_COMMIT,
        "rust_version": RUST_VERSION,
    });
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, format!("{version}\n"))
}
