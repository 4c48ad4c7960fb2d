from curriculum.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENCODING_UNSPECIFIED: _ClassVar[Encoding]
    ENCODING_F32: _ClassVar[Encoding]
    ENCODING_F16: _ClassVar[Encoding]
    ENCODING_U16: _ClassVar[Encoding]

class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHASE_UNSPECIFIED: _ClassVar[Phase]
    PHASE_WARMUP: _ClassVar[Phase]
    PHASE_UNIFORM: _ClassVar[Phase]

class SolverStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOLVER_STATUS_UNSPECIFIED: _ClassVar[SolverStatus]
    SOLVER_STATUS_OK: _ClassVar[SolverStatus]
    SOLVER_STATUS_FLOOR: _ClassVar[SolverStatus]
    SOLVER_STATUS_CEILING: _ClassVar[SolverStatus]
    SOLVER_STATUS_UNIFORM: _ClassVar[SolverStatus]
    SOLVER_STATUS_CLAMPED: _ClassVar[SolverStatus]
ENCODING_UNSPECIFIED: Encoding
ENCODING_F32: Encoding
ENCODING_F16: Encoding
ENCODING_U16: Encoding
PHASE_UNSPECIFIED: Phase
PHASE_WARMUP: Phase
PHASE_UNIFORM: Phase
SOLVER_STATUS_UNSPECIFIED: SolverStatus
SOLVER_STATUS_OK: SolverStatus
SOLVER_STATUS_FLOOR: SolverStatus
SOLVER_STATUS_CEILING: SolverStatus
SOLVER_STATUS_UNIFORM: SolverStatus
SOLVER_STATUS_CLAMPED: SolverStatus

class GetWeightsRequest(_message.Message):
    __slots__ = ("curriculum", "version", "iteration", "order", "range", "encoding", "order_seed", "if_none_match")
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    ORDER_SEED_FIELD_NUMBER: _ClassVar[int]
    IF_NONE_MATCH_FIELD_NUMBER: _ClassVar[int]
    curriculum: str
    version: str
    iteration: int
    order: _types_pb2.Order
    range: IndexRange
    encoding: Encoding
    order_seed: int
    if_none_match: str
    def __init__(self, curriculum: _Optional[str] = ..., version: _Optional[str] = ..., iteration: _Optional[int] = ..., order: _Optional[_Union[_types_pb2.Order, str]] = ..., range: _Optional[_Union[IndexRange, _Mapping]] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., order_seed: _Optional[int] = ..., if_none_match: _Optional[str] = ...) -> None: ...

class IndexRange(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class GetWeightsResponse(_message.Message):
    __slots__ = ("header", "chunk")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: WeightsHeader
    chunk: WeightsChunk
    def __init__(self, header: _Optional[_Union[WeightsHeader, _Mapping]] = ..., chunk: _Optional[_Union[WeightsChunk, _Mapping]] = ...) -> None: ...

class WeightsHeader(_message.Message):
    __slots__ = ("version", "server_instance", "entry", "sample_count", "range", "encoding", "etag", "not_modified", "scale", "step", "max_relative_error")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVER_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    NOT_MODIFIED_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    MAX_RELATIVE_ERROR_FIELD_NUMBER: _ClassVar[int]
    version: str
    server_instance: str
    entry: ScheduleEntry
    sample_count: int
    range: IndexRange
    encoding: Encoding
    etag: str
    not_modified: bool
    scale: float
    step: float
    max_relative_error: float
    def __init__(self, version: _Optional[str] = ..., server_instance: _Optional[str] = ..., entry: _Optional[_Union[ScheduleEntry, _Mapping]] = ..., sample_count: _Optional[int] = ..., range: _Optional[_Union[IndexRange, _Mapping]] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., etag: _Optional[str] = ..., not_modified: bool = ..., scale: _Optional[float] = ..., step: _Optional[float] = ..., max_relative_error: _Optional[float] = ...) -> None: ...

class WeightsChunk(_message.Message):
    __slots__ = ("start", "values")
    START_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    start: int
    values: bytes
    def __init__(self, start: _Optional[int] = ..., values: _Optional[bytes] = ...) -> None: ...

class ScheduleEntry(_message.Message):
    __slots__ = ("iteration", "temperature", "effective_fraction", "target", "phase", "status")
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_FRACTION_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    iteration: int
    temperature: float
    effective_fraction: float
    target: float
    phase: Phase
    status: SolverStatus
    def __init__(self, iteration: _Optional[int] = ..., temperature: _Optional[float] = ..., effective_fraction: _Optional[float] = ..., target: _Optional[float] = ..., phase: _Optional[_Union[Phase, str]] = ..., status: _Optional[_Union[SolverStatus, str]] = ...) -> None: ...

class GetScheduleRequest(_message.Message):
    __slots__ = ("curriculum", "version", "iterations", "order", "order_seed")
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    ORDER_SEED_FIELD_NUMBER: _ClassVar[int]
    curriculum: str
    version: str
    iterations: _containers.RepeatedScalarFieldContainer[int]
    order: _types_pb2.Order
    order_seed: int
    def __init__(self, curriculum: _Optional[str] = ..., version: _Optional[str] = ..., iterations: _Optional[_Iterable[int]] = ..., order: _Optional[_Union[_types_pb2.Order, str]] = ..., order_seed: _Optional[int] = ...) -> None: ...

class GetScheduleResponse(_message.Message):
    __slots__ = ("version", "server_instance", "sample_count", "entries")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVER_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    version: str
    server_instance: str
    sample_count: int
    entries: _containers.RepeatedCompositeFieldContainer[ScheduleEntry]
    def __init__(self, version: _Optional[str] = ..., server_instance: _Optional[str] = ..., sample_count: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[ScheduleEntry, _Mapping]]] = ...) -> None: ...

class SampleIndicesRequest(_message.Message):
    __slots__ = ("curriculum", "version", "iteration", "iterations", "batch", "rank", "world_size", "seed", "order", "order_seed", "window", "expected_samples")
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    ORDER_SEED_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    curriculum: str
    version: str
    iteration: int
    iterations: int
    batch: int
    rank: int
    world_size: int
    seed: int
    order: _types_pb2.Order
    order_seed: int
    window: int
    expected_samples: int
    def __init__(self, curriculum: _Optional[str] = ..., version: _Optional[str] = ..., iteration: _Optional[int] = ..., iterations: _Optional[int] = ..., batch: _Optional[int] = ..., rank: _Optional[int] = ..., world_size: _Optional[int] = ..., seed: _Optional[int] = ..., order: _Optional[_Union[_types_pb2.Order, str]] = ..., order_seed: _Optional[int] = ..., window: _Optional[int] = ..., expected_samples: _Optional[int] = ...) -> None: ...

class SampleIndicesResponse(_message.Message):
    __slots__ = ("version", "server_instance", "sample_count", "entries", "indices")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVER_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    version: str
    server_instance: str
    sample_count: int
    entries: _containers.RepeatedCompositeFieldContainer[ScheduleEntry]
    indices: bytes
    def __init__(self, version: _Optional[str] = ..., server_instance: _Optional[str] = ..., sample_count: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[ScheduleEntry, _Mapping]]] = ..., indices: _Optional[bytes] = ...) -> None: ...

class GetDifficultyRequest(_message.Message):
    __slots__ = ("curriculum", "version", "range", "with_ids", "difficulty_only", "order", "order_seed")
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    WITH_IDS_FIELD_NUMBER: _ClassVar[int]
    DIFFICULTY_ONLY_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    ORDER_SEED_FIELD_NUMBER: _ClassVar[int]
    curriculum: str
    version: str
    range: IndexRange
    with_ids: bool
    difficulty_only: bool
    order: _types_pb2.Order
    order_seed: int
    def __init__(self, curriculum: _Optional[str] = ..., version: _Optional[str] = ..., range: _Optional[_Union[IndexRange, _Mapping]] = ..., with_ids: bool = ..., difficulty_only: bool = ..., order: _Optional[_Union[_types_pb2.Order, str]] = ..., order_seed: _Optional[int] = ...) -> None: ...

class GetDifficultyResponse(_message.Message):
    __slots__ = ("header", "chunk", "end")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    header: DifficultyHeader
    chunk: DifficultyChunk
    end: DifficultyEnd
    def __init__(self, header: _Optional[_Union[DifficultyHeader, _Mapping]] = ..., chunk: _Optional[_Union[DifficultyChunk, _Mapping]] = ..., end: _Optional[_Union[DifficultyEnd, _Mapping]] = ...) -> None: ...

class DifficultyEnd(_message.Message):
    __slots__ = ("crc32",)
    CRC32_FIELD_NUMBER: _ClassVar[int]
    crc32: int
    def __init__(self, crc32: _Optional[int] = ...) -> None: ...

class DifficultyHeader(_message.Message):
    __slots__ = ("version", "server_instance", "sample_count", "range")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVER_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    version: str
    server_instance: str
    sample_count: int
    range: IndexRange
    def __init__(self, version: _Optional[str] = ..., server_instance: _Optional[str] = ..., sample_count: _Optional[int] = ..., range: _Optional[_Union[IndexRange, _Mapping]] = ...) -> None: ...

class DifficultyChunk(_message.Message):
    __slots__ = ("start", "difficulty", "distance", "cluster", "ids", "labels")
    START_FIELD_NUMBER: _ClassVar[int]
    DIFFICULTY_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    start: int
    difficulty: bytes
    distance: bytes
    cluster: bytes
    ids: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, start: _Optional[int] = ..., difficulty: _Optional[bytes] = ..., distance: _Optional[bytes] = ..., cluster: _Optional[bytes] = ..., ids: _Optional[_Iterable[str]] = ..., labels: _Optional[_Iterable[str]] = ...) -> None: ...

class GetCurriculumRequest(_message.Message):
    __slots__ = ("curriculum", "version")
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    curriculum: str
    version: str
    def __init__(self, curriculum: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class GetCurriculumResponse(_message.Message):
    __slots__ = ("curriculum", "version", "extractor", "server_version", "api_level")
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXTRACTOR_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    API_LEVEL_FIELD_NUMBER: _ClassVar[int]
    curriculum: Curriculum
    version: Version
    extractor: Extractor
    server_version: str
    api_level: int
    def __init__(self, curriculum: _Optional[_Union[Curriculum, _Mapping]] = ..., version: _Optional[_Union[Version, _Mapping]] = ..., extractor: _Optional[_Union[Extractor, _Mapping]] = ..., server_version: _Optional[str] = ..., api_level: _Optional[int] = ...) -> None: ...

class Extractor(_message.Message):
    __slots__ = ("model", "execution_provider", "device_ids", "nodes_by_provider")
    class NodesByProviderEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    DEVICE_IDS_FIELD_NUMBER: _ClassVar[int]
    NODES_BY_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    model: str
    execution_provider: str
    device_ids: _containers.RepeatedScalarFieldContainer[int]
    nodes_by_provider: _containers.ScalarMap[str, int]
    def __init__(self, model: _Optional[str] = ..., execution_provider: _Optional[str] = ..., device_ids: _Optional[_Iterable[int]] = ..., nodes_by_provider: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Curriculum(_message.Message):
    __slots__ = ("name", "versions", "aliases")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    name: str
    versions: _containers.RepeatedScalarFieldContainer[str]
    aliases: _containers.RepeatedCompositeFieldContainer[Alias]
    def __init__(self, name: _Optional[str] = ..., versions: _Optional[_Iterable[str]] = ..., aliases: _Optional[_Iterable[_Union[Alias, _Mapping]]] = ...) -> None: ...

class Alias(_message.Message):
    __slots__ = ("name", "version", "previous")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    previous: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., previous: _Optional[_Iterable[str]] = ...) -> None: ...

class Version(_message.Message):
    __slots__ = ("id", "source", "model", "model_digest", "parameters", "created_at_ms", "summary")
    ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    id: str
    source: str
    model: str
    model_digest: str
    parameters: _types_pb2.Parameters
    created_at_ms: int
    summary: Summary
    def __init__(self, id: _Optional[str] = ..., source: _Optional[str] = ..., model: _Optional[str] = ..., model_digest: _Optional[str] = ..., parameters: _Optional[_Union[_types_pb2.Parameters, _Mapping]] = ..., created_at_ms: _Optional[int] = ..., summary: _Optional[_Union[Summary, _Mapping]] = ...) -> None: ...

class Summary(_message.Message):
    __slots__ = ("sample_count", "failed_count", "dimension", "inertia", "davies_bouldin", "histogram", "clusters", "candidates", "warnings", "drift")
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    INERTIA_FIELD_NUMBER: _ClassVar[int]
    DAVIES_BOULDIN_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    sample_count: int
    failed_count: int
    dimension: int
    inertia: float
    davies_bouldin: float
    histogram: _containers.RepeatedScalarFieldContainer[int]
    clusters: _containers.RepeatedCompositeFieldContainer[ClusterSummary]
    candidates: _containers.RepeatedCompositeFieldContainer[ClusterCandidate]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    drift: Drift
    def __init__(self, sample_count: _Optional[int] = ..., failed_count: _Optional[int] = ..., dimension: _Optional[int] = ..., inertia: _Optional[float] = ..., davies_bouldin: _Optional[float] = ..., histogram: _Optional[_Iterable[int]] = ..., clusters: _Optional[_Iterable[_Union[ClusterSummary, _Mapping]]] = ..., candidates: _Optional[_Iterable[_Union[ClusterCandidate, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., drift: _Optional[_Union[Drift, _Mapping]] = ...) -> None: ...

class Drift(_message.Message):
    __slots__ = ("base", "kept", "added", "beyond", "clusters")
    BASE_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    BEYOND_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    base: str
    kept: int
    added: int
    beyond: int
    clusters: _containers.RepeatedCompositeFieldContainer[ClusterDrift]
    def __init__(self, base: _Optional[str] = ..., kept: _Optional[int] = ..., added: _Optional[int] = ..., beyond: _Optional[int] = ..., clusters: _Optional[_Iterable[_Union[ClusterDrift, _Mapping]]] = ...) -> None: ...

class ClusterDrift(_message.Message):
    __slots__ = ("threshold", "added", "beyond")
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    BEYOND_FIELD_NUMBER: _ClassVar[int]
    threshold: float
    added: int
    beyond: int
    def __init__(self, threshold: _Optional[float] = ..., added: _Optional[int] = ..., beyond: _Optional[int] = ...) -> None: ...

class ClusterSummary(_message.Message):
    __slots__ = ("size", "mean_distance", "nearest", "farthest", "label")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    MEAN_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    FARTHEST_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    size: int
    mean_distance: float
    nearest: _containers.RepeatedCompositeFieldContainer[SampleSummary]
    farthest: _containers.RepeatedCompositeFieldContainer[SampleSummary]
    label: str
    def __init__(self, size: _Optional[int] = ..., mean_distance: _Optional[float] = ..., nearest: _Optional[_Iterable[_Union[SampleSummary, _Mapping]]] = ..., farthest: _Optional[_Iterable[_Union[SampleSummary, _Mapping]]] = ..., label: _Optional[str] = ...) -> None: ...

class SampleSummary(_message.Message):
    __slots__ = ("index", "id", "label", "difficulty")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DIFFICULTY_FIELD_NUMBER: _ClassVar[int]
    index: int
    id: str
    label: str
    difficulty: float
    def __init__(self, index: _Optional[int] = ..., id: _Optional[str] = ..., label: _Optional[str] = ..., difficulty: _Optional[float] = ...) -> None: ...

class ClusterCandidate(_message.Message):
    __slots__ = ("clusters", "davies_bouldin")
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    DAVIES_BOULDIN_FIELD_NUMBER: _ClassVar[int]
    clusters: int
    davies_bouldin: float
    def __init__(self, clusters: _Optional[int] = ..., davies_bouldin: _Optional[float] = ...) -> None: ...

class ExportVersionRequest(_message.Message):
    __slots__ = ("curriculum", "version")
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    curriculum: str
    version: str
    def __init__(self, curriculum: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ExportVersionResponse(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: ExportHeader
    data: bytes
    def __init__(self, header: _Optional[_Union[ExportHeader, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ExportHeader(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    def __init__(self, version: _Optional[str] = ...) -> None: ...

class ListCurriculaRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCurriculaResponse(_message.Message):
    __slots__ = ("curricula",)
    CURRICULA_FIELD_NUMBER: _ClassVar[int]
    curricula: _containers.RepeatedCompositeFieldContainer[Curriculum]
    def __init__(self, curricula: _Optional[_Iterable[_Union[Curriculum, _Mapping]]] = ...) -> None: ...
