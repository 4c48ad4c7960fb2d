"""Parameters of a job, from keywords."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from curriculum.v1 import ingest_pb2 as pb
from curriculum.v1 import types_pb2 as types

if TYPE_CHECKING:
    from typing_extensions import Unpack

Clusters: TypeAlias = "int | str | tuple[int, int] | Sequence[int]"


class Parameters(TypedDict, total=False):
    """Keywords of `submit`; what is left out has the server's default, see types.proto."""

    clusters: Clusters
    """A number; "auto"; (min, max), the best of that range; or a list, the best of these."""
    seed: int
    max_failed_fraction: float
    by_label: bool
    min_cluster_size: int
    normalization: str
    """cluster_min_max, cluster_rank, global_min_max or none."""
    score: str
    """distance, cosine or neighbours."""
    feature_normalization: str
    """standard, or none to cluster features as they are."""
    initial_effective_fraction: float
    warmup_iterations: int
    pacing: str
    """linear, quadratic, root, cosine, exponential, logarithmic, step, geometric or competence."""
    min_temperature: float
    max_temperature: float
    max_effective_fraction: float
    draws: int


class Submission(Parameters, total=False):
    """Keywords of `submit` that are not part of the version; see SubmitJobRequest in ingest.proto."""

    model: str
    format: str
    priority: int
    force: bool
    extend: str


_JOB = ("model", "format", "priority", "force", "extend")
_SCHEDULE = (
    "initial_effective_fraction",
    "warmup_iterations",
    "min_temperature",
    "max_temperature",
    "max_effective_fraction",
    "draws",
)
_PLAIN = ("seed", "max_failed_fraction", "by_label", "min_cluster_size")
_WORDS = {
    "normalization": types.Normalization,
    "score": types.Score,
    "feature_normalization": types.FeatureNormalization,
    "pacing": types.Pacing,
}


def request(curriculum: str, source: str, **submission: Unpack[Submission]) -> pb.SubmitJobRequest:
    """The request for a job. TypeError names an unknown keyword, ValueError an unknown word."""
    unknown = submission.keys() - set(_JOB) - set(_SCHEDULE) - set(_PLAIN) - _WORDS.keys() - {"clusters"}
    if unknown:
        raise TypeError(f"unknown parameters: {', '.join(sorted(unknown))}")
    given = {name: value for name, value in submission.items() if value is not None}
    built = pb.SubmitJobRequest(curriculum=curriculum, source=source)
    parameters = built.parameters
    for name, value in given.items():
        if name in _JOB:
            _set(built, name, value)
        elif name in _SCHEDULE:
            _set(parameters.schedule, name, value)
        elif name in _PLAIN:
            _set(parameters, name, value)
        elif name in _WORDS:
            owner = parameters.schedule if name == "pacing" else parameters
            setattr(owner, name, _number(name, str(value)))
    if "clusters" in given:
        try:
            _set_clusters(parameters.clusters, submission["clusters"])
        except ValueError as error:
            raise ValueError(f"clusters {submission['clusters']!r}: {error}") from None
    return built


def _set(message: object, name: str, value: object) -> None:
    """Sets a field. ValueError names it, which protobuf's own for numbers that do not fit does not."""
    try:
        setattr(message, name, value)
    except ValueError as error:
        raise ValueError(f"{name} {value!r}: {error}") from None


def _number(name: str, word: str) -> int:
    """Number of an enum's word."""
    prefix = f"{name.upper()}_"
    words = {text.removeprefix(prefix).lower(): number for text, number in _WORDS[name].items() if number}
    if word.lower().replace("-", "_") not in words:
        raise ValueError(f"{name} {word!r} is none of {', '.join(words)}")
    return int(words[word.lower().replace("-", "_")])


def _set_clusters(message: types.Clusters, clusters: Clusters) -> None:
    if isinstance(clusters, str):
        if clusters != "auto":
            raise ValueError("a number, auto, (min, max) or a list of numbers")
    elif isinstance(clusters, int):
        message.fixed = clusters
    elif isinstance(clusters, tuple) and len(clusters) == 2:
        message.auto.min, message.auto.max = clusters
    else:
        message.one_of.clusters.extend(clusters)
