from curriculum.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Identity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IDENTITY_UNSPECIFIED: _ClassVar[Identity]
    IDENTITY_BYTES: _ClassVar[Identity]
    IDENTITY_ETAG: _ClassVar[Identity]

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_SUBMITTED: _ClassVar[Stage]
    STAGE_ENUMERATED: _ClassVar[Stage]
    STAGE_EXTRACTED: _ClassVar[Stage]
    STAGE_CLUSTERED: _ClassVar[Stage]
    STAGE_SCORED: _ClassVar[Stage]
    STAGE_PUBLISHED: _ClassVar[Stage]

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_QUEUED: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_SUCCEEDED: _ClassVar[JobState]
    JOB_STATE_FAILED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]
IDENTITY_UNSPECIFIED: Identity
IDENTITY_BYTES: Identity
IDENTITY_ETAG: Identity
STAGE_UNSPECIFIED: Stage
STAGE_SUBMITTED: Stage
STAGE_ENUMERATED: Stage
STAGE_EXTRACTED: Stage
STAGE_CLUSTERED: Stage
STAGE_SCORED: Stage
STAGE_PUBLISHED: Stage
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_QUEUED: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_SUCCEEDED: JobState
JOB_STATE_FAILED: JobState
JOB_STATE_CANCELLED: JobState

class SubmitJobRequest(_message.Message):
    __slots__ = ("curriculum", "source", "model", "parameters", "format", "columns", "identity", "priority", "force", "extend")
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    EXTEND_FIELD_NUMBER: _ClassVar[int]
    curriculum: str
    source: str
    model: str
    parameters: _types_pb2.Parameters
    format: str
    columns: Columns
    identity: Identity
    priority: int
    force: bool
    extend: str
    def __init__(self, curriculum: _Optional[str] = ..., source: _Optional[str] = ..., model: _Optional[str] = ..., parameters: _Optional[_Union[_types_pb2.Parameters, _Mapping]] = ..., format: _Optional[str] = ..., columns: _Optional[_Union[Columns, _Mapping]] = ..., identity: _Optional[_Union[Identity, str]] = ..., priority: _Optional[int] = ..., force: bool = ..., extend: _Optional[str] = ...) -> None: ...

class Columns(_message.Message):
    __slots__ = ("id", "path", "label", "image", "vector")
    ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    id: str
    path: str
    label: str
    image: str
    vector: str
    def __init__(self, id: _Optional[str] = ..., path: _Optional[str] = ..., label: _Optional[str] = ..., image: _Optional[str] = ..., vector: _Optional[str] = ...) -> None: ...

class SubmitJobResponse(_message.Message):
    __slots__ = ("job", "created")
    JOB_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    job: Job
    created: bool
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., created: bool = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "curriculum", "source", "model", "parameters", "state", "stage", "progress", "sample_count", "failed_count", "version", "failure", "submitted_at_ms", "ended_at_ms", "seconds", "warnings", "priority", "attempt", "extends")
    ID_FIELD_NUMBER: _ClassVar[int]
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    EXTENDS_FIELD_NUMBER: _ClassVar[int]
    id: str
    curriculum: str
    source: str
    model: str
    parameters: _types_pb2.Parameters
    state: JobState
    stage: Stage
    progress: Progress
    sample_count: int
    failed_count: int
    version: str
    failure: Failure
    submitted_at_ms: int
    ended_at_ms: int
    seconds: _containers.RepeatedCompositeFieldContainer[StageSeconds]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    priority: int
    attempt: int
    extends: str
    def __init__(self, id: _Optional[str] = ..., curriculum: _Optional[str] = ..., source: _Optional[str] = ..., model: _Optional[str] = ..., parameters: _Optional[_Union[_types_pb2.Parameters, _Mapping]] = ..., state: _Optional[_Union[JobState, str]] = ..., stage: _Optional[_Union[Stage, str]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., sample_count: _Optional[int] = ..., failed_count: _Optional[int] = ..., version: _Optional[str] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., submitted_at_ms: _Optional[int] = ..., ended_at_ms: _Optional[int] = ..., seconds: _Optional[_Iterable[_Union[StageSeconds, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., priority: _Optional[int] = ..., attempt: _Optional[int] = ..., extends: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("done", "total", "rate", "activity", "eta_seconds")
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    ETA_SECONDS_FIELD_NUMBER: _ClassVar[int]
    done: int
    total: int
    rate: float
    activity: str
    eta_seconds: float
    def __init__(self, done: _Optional[int] = ..., total: _Optional[int] = ..., rate: _Optional[float] = ..., activity: _Optional[str] = ..., eta_seconds: _Optional[float] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("stage", "reason")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    stage: Stage
    reason: str
    def __init__(self, stage: _Optional[_Union[Stage, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class StageSeconds(_message.Message):
    __slots__ = ("stage", "seconds")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    stage: Stage
    seconds: float
    def __init__(self, stage: _Optional[_Union[Stage, str]] = ..., seconds: _Optional[float] = ...) -> None: ...

class SampleError(_message.Message):
    __slots__ = ("index", "id", "reason")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    index: int
    id: str
    reason: str
    def __init__(self, index: _Optional[int] = ..., id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("id", "max_errors", "errors_after")
    ID_FIELD_NUMBER: _ClassVar[int]
    MAX_ERRORS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_AFTER_FIELD_NUMBER: _ClassVar[int]
    id: str
    max_errors: int
    errors_after: int
    def __init__(self, id: _Optional[str] = ..., max_errors: _Optional[int] = ..., errors_after: _Optional[int] = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job", "errors", "more_errors")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    MORE_ERRORS_FIELD_NUMBER: _ClassVar[int]
    job: Job
    errors: _containers.RepeatedCompositeFieldContainer[SampleError]
    more_errors: bool
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., errors: _Optional[_Iterable[_Union[SampleError, _Mapping]]] = ..., more_errors: bool = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class WatchJobResponse(_message.Message):
    __slots__ = ("job", "recent_errors")
    JOB_FIELD_NUMBER: _ClassVar[int]
    RECENT_ERRORS_FIELD_NUMBER: _ClassVar[int]
    job: Job
    recent_errors: _containers.RepeatedCompositeFieldContainer[SampleError]
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., recent_errors: _Optional[_Iterable[_Union[SampleError, _Mapping]]] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class CancelJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class RetryJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class RetryJobResponse(_message.Message):
    __slots__ = ("job", "queued")
    JOB_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    job: Job
    queued: bool
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., queued: bool = ...) -> None: ...

class PushFeaturesRequest(_message.Message):
    __slots__ = ("header", "rows", "end")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    header: PushHeader
    rows: FeatureRows
    end: PushEnd
    def __init__(self, header: _Optional[_Union[PushHeader, _Mapping]] = ..., rows: _Optional[_Union[FeatureRows, _Mapping]] = ..., end: _Optional[_Union[PushEnd, _Mapping]] = ...) -> None: ...

class PushImagesRequest(_message.Message):
    __slots__ = ("header", "samples", "end")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    header: PushHeader
    samples: ImageSamples
    end: PushEnd
    def __init__(self, header: _Optional[_Union[PushHeader, _Mapping]] = ..., samples: _Optional[_Union[ImageSamples, _Mapping]] = ..., end: _Optional[_Union[PushEnd, _Mapping]] = ...) -> None: ...

class PushHeader(_message.Message):
    __slots__ = ("push", "dimension", "fingerprint")
    PUSH_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    push: str
    dimension: int
    fingerprint: str
    def __init__(self, push: _Optional[str] = ..., dimension: _Optional[int] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class FeatureRows(_message.Message):
    __slots__ = ("offset", "ids", "labels", "values", "crc32")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    CRC32_FIELD_NUMBER: _ClassVar[int]
    offset: int
    ids: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.RepeatedScalarFieldContainer[str]
    values: bytes
    crc32: int
    def __init__(self, offset: _Optional[int] = ..., ids: _Optional[_Iterable[str]] = ..., labels: _Optional[_Iterable[str]] = ..., values: _Optional[bytes] = ..., crc32: _Optional[int] = ...) -> None: ...

class ImageSamples(_message.Message):
    __slots__ = ("offset", "samples", "crc32")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    CRC32_FIELD_NUMBER: _ClassVar[int]
    offset: int
    samples: _containers.RepeatedCompositeFieldContainer[ImageSample]
    crc32: int
    def __init__(self, offset: _Optional[int] = ..., samples: _Optional[_Iterable[_Union[ImageSample, _Mapping]]] = ..., crc32: _Optional[int] = ...) -> None: ...

class ImageSample(_message.Message):
    __slots__ = ("id", "label", "image")
    ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    label: str
    image: bytes
    def __init__(self, id: _Optional[str] = ..., label: _Optional[str] = ..., image: _Optional[bytes] = ...) -> None: ...

class PushEnd(_message.Message):
    __slots__ = ("samples",)
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    samples: int
    def __init__(self, samples: _Optional[int] = ...) -> None: ...

class GetPushRequest(_message.Message):
    __slots__ = ("push",)
    PUSH_FIELD_NUMBER: _ClassVar[int]
    push: str
    def __init__(self, push: _Optional[str] = ...) -> None: ...

class PushResponse(_message.Message):
    __slots__ = ("samples", "bytes", "last_id", "dimension", "complete", "source", "fingerprint")
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    LAST_ID_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    samples: int
    bytes: int
    last_id: str
    dimension: int
    complete: bool
    source: str
    fingerprint: str
    def __init__(self, samples: _Optional[int] = ..., bytes: _Optional[int] = ..., last_id: _Optional[str] = ..., dimension: _Optional[int] = ..., complete: bool = ..., source: _Optional[str] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class PromoteVersionRequest(_message.Message):
    __slots__ = ("curriculum", "alias", "version")
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    curriculum: str
    alias: str
    version: str
    def __init__(self, curriculum: _Optional[str] = ..., alias: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class PromoteVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    def __init__(self, version: _Optional[str] = ...) -> None: ...

class RollBackAliasRequest(_message.Message):
    __slots__ = ("curriculum", "alias")
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    curriculum: str
    alias: str
    def __init__(self, curriculum: _Optional[str] = ..., alias: _Optional[str] = ...) -> None: ...

class RollBackAliasResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    def __init__(self, version: _Optional[str] = ...) -> None: ...

class DeleteVersionRequest(_message.Message):
    __slots__ = ("curriculum", "version")
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    curriculum: str
    version: str
    def __init__(self, curriculum: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class DeleteVersionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ImportVersionRequest(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: ImportHeader
    data: bytes
    def __init__(self, header: _Optional[_Union[ImportHeader, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ImportHeader(_message.Message):
    __slots__ = ("curriculum",)
    CURRICULUM_FIELD_NUMBER: _ClassVar[int]
    curriculum: str
    def __init__(self, curriculum: _Optional[str] = ...) -> None: ...

class ImportVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    def __init__(self, version: _Optional[str] = ...) -> None: ...
