//! One iteration's weights, from a server's stream or from a file of difficulties.

use crate::{
    arrays::NpzReader,
    client::Connection,
    exit::BadInput,
    parameters::{OrderArgs, ScheduleArgs},
};
use anyhow::{Context, ensure};
use curriculum::{
    Order, Phase, Sketch, Status, Weights,
    solver::{self, Problem, Solution},
};
use curriculum_proto::v1::{
    self, curriculum_service_client::CurriculumServiceClient, get_weights_response::Part,
};
use std::path::Path;

/// Asks for weights and checks that every value arrived.
pub(crate) async fn fetch(
    client: &mut CurriculumServiceClient<Connection>,
    request: v1::GetWeightsRequest,
) -> anyhow::Result<(v1::WeightsHeader, Vec<f32>)> {
    let mut messages = client.get_weights(request).await?.into_inner();
    let mut header = None;
    let mut weights = Vec::new();
    while let Some(message) = messages.message().await? {
        match message.part {
            Some(Part::Header(first)) => header = Some(first),
            Some(Part::Chunk(chunk)) => {
                let header = header.as_ref().context("the server sent no header")?;
                decode(header, &chunk.values, &mut weights);
            }
            None => {}
        }
    }
    let header = header.context("the server sent no header")?;
    let range = header.range.unwrap_or_default();
    ensure!(
        weights.len() as u64 == range.end - range.start,
        "the stream of weights ended early"
    );
    Ok((header, weights))
}

fn decode(header: &v1::WeightsHeader, values: &[u8], weights: &mut Vec<f32>) {
    let (scale, step) = (header.scale, header.step);
    let halves = values.as_chunks::<2>().0.iter().copied();
    match header.encoding() {
        v1::Encoding::F16 => {
            weights.extend(halves.map(|x| (scale * f64::from(half::f16::from_le_bytes(x))) as f32))
        }
        v1::Encoding::U16 => weights.extend(
            halves.map(|x| (scale * (-f64::from(u16::from_le_bytes(x)) * step).exp()) as f32),
        ),
        v1::Encoding::F32 | v1::Encoding::Unspecified => {
            let values = values.as_chunks::<4>().0.iter();
            weights.extend(values.map(|x| f32::from_le_bytes(*x)));
        }
    }
}

/// The schedule entry of a header.
pub(crate) fn entry(header: &v1::WeightsHeader) -> anyhow::Result<v1::ScheduleEntry> {
    header.entry.context("the server sent no schedule entry")
}

/// `ok`, `floor`, `ceiling`, `uniform` or `clamped`.
pub(crate) fn status_name(status: v1::SolverStatus) -> &'static str {
    match status {
        v1::SolverStatus::Unspecified => "unknown",
        v1::SolverStatus::Ok => "ok",
        v1::SolverStatus::Floor => "floor",
        v1::SolverStatus::Ceiling => "ceiling",
        v1::SolverStatus::Uniform => "uniform",
        v1::SolverStatus::Clamped => "clamped",
    }
}

/// Share of draws that fall on the most probable tenth of the samples.
pub(crate) fn top_tenth(weights: &[f32]) -> f64 {
    let mut sorted = weights.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    sorted
        .iter()
        .take(weights.len().div_ceil(10))
        .map(|w| f64::from(*w))
        .sum()
}

/// Weights, and where they come from.
pub(crate) struct Computed {
    pub(crate) weights: Vec<f32>,
    /// Of a server's curriculum.
    pub(crate) version: Option<String>,
    pub(crate) iteration: Option<u64>,
    /// None with a given temperature, as `target`.
    pub(crate) phase: Option<&'static str>,
    /// Infinite for uniform weights.
    pub(crate) temperature: f64,
    pub(crate) effective_fraction: f64,
    pub(crate) target: Option<f64>,
    pub(crate) status: &'static str,
    /// Of a weight, from the encoding it travelled in.
    pub(crate) max_relative_error: Option<f64>,
}

/// What decides the temperature.
pub(crate) enum Heat {
    /// The schedule does.
    Iteration(u64),
    /// It is given, above 0.
    Temperature(f64),
}

/// Weights of the difficulties in the `.npz` at `path`.
///
/// # Errors
/// [`BadInput`] when the file is not as `fit` writes it, or a flag is out of its range.
pub(crate) fn of_file(
    path: &Path,
    order: OrderArgs,
    schedule: &ScheduleArgs,
    heat: &Heat,
) -> Result<Computed, BadInput> {
    let difficulty = read_difficulty(&mut NpzReader::open(path)?)?;
    let samples = difficulty.len() as u64;
    let schedule = schedule.schedule(samples)?;
    let order = order.order();
    let difficulty = order.reassign(&difficulty);
    let difficulty = difficulty.map_err(|error| BadInput(error.to_string()))?;
    let sketch = Sketch::new(&difficulty);
    let mut computed = match *heat {
        Heat::Iteration(iteration) => {
            let entry = schedule.entry(&sketch, order, iteration);
            Computed {
                weights: Vec::new(),
                version: None,
                iteration: Some(iteration),
                phase: Some(match entry.phase {
                    Phase::Warmup => "warmup",
                    Phase::Uniform => "uniform",
                }),
                temperature: entry.temperature,
                effective_fraction: entry.effective_fraction,
                target: Some(entry.target),
                status: local_status_name(entry.status),
                max_relative_error: None,
            }
        }
        Heat::Temperature(temperature) => given(&sketch, order, temperature, schedule.draws()),
    };
    computed.weights = vec![0.0; difficulty.len()];
    Weights::new(&sketch, order, computed.temperature).fill(&difficulty, &mut computed.weights);
    Ok(computed)
}

/// The difficulties of a `.npz`.
///
/// # Errors
/// [`BadInput`] when they are missing, of another type, or not finite.
pub(crate) fn read_difficulty(npz: &mut NpzReader) -> Result<Vec<f32>, BadInput> {
    const NAME: &str = "difficulty";
    let difficulty = npz.vector::<f32>(NAME)?;
    match difficulty.iter().position(|d| !d.is_finite()) {
        None => Ok(difficulty),
        Some(row) => Err(npz.refused(NAME, &format_args!("row {row} is not finite"))),
    }
}

/// What a given temperature reaches: both bounds of the solver, whatever the target.
fn given(sketch: &Sketch, order: Order, temperature: f64, draws: u64) -> Computed {
    let uniform = Solution::uniform(sketch, draws);
    let bounded = Problem {
        order,
        target: uniform.effective_fraction / 2.0,
        draws,
        min_temperature: Some(temperature),
        max_temperature: Some(temperature),
    };
    let solution = match temperature.is_finite() {
        true => solver::solve(sketch, &bounded),
        false => uniform,
    };
    Computed {
        weights: Vec::new(),
        version: None,
        iteration: None,
        phase: None,
        temperature: solution.temperature,
        effective_fraction: solution.effective_fraction,
        target: None,
        // Nothing was solved for; equal difficulties have uniform weights at any temperature.
        status: match solution.status {
            Status::Uniform => "uniform",
            Status::Ok | Status::Floor | Status::Ceiling | Status::Clamped => "ok",
        },
        max_relative_error: None,
    }
}

fn local_status_name(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Floor => "floor",
        Status::Ceiling => "ceiling",
        Status::Uniform => "uniform",
        Status::Clamped => "clamped",
    }
}
