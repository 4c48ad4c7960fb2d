from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Order(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_UNSPECIFIED: _ClassVar[Order]
    ORDER_EASY_FIRST: _ClassVar[Order]
    ORDER_HARD_FIRST: _ClassVar[Order]
    ORDER_REVERSED: _ClassVar[Order]
    ORDER_SHUFFLED: _ClassVar[Order]

class Pacing(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PACING_UNSPECIFIED: _ClassVar[Pacing]
    PACING_LINEAR: _ClassVar[Pacing]
    PACING_QUADRATIC: _ClassVar[Pacing]
    PACING_ROOT: _ClassVar[Pacing]
    PACING_COSINE: _ClassVar[Pacing]
    PACING_EXPONENTIAL: _ClassVar[Pacing]
    PACING_LOGARITHMIC: _ClassVar[Pacing]
    PACING_STEP: _ClassVar[Pacing]
    PACING_GEOMETRIC: _ClassVar[Pacing]
    PACING_COMPETENCE: _ClassVar[Pacing]

class Normalization(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NORMALIZATION_UNSPECIFIED: _ClassVar[Normalization]
    NORMALIZATION_CLUSTER_MIN_MAX: _ClassVar[Normalization]
    NORMALIZATION_CLUSTER_RANK: _ClassVar[Normalization]
    NORMALIZATION_GLOBAL_MIN_MAX: _ClassVar[Normalization]
    NORMALIZATION_NONE: _ClassVar[Normalization]

class Score(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCORE_UNSPECIFIED: _ClassVar[Score]
    SCORE_DISTANCE: _ClassVar[Score]
    SCORE_COSINE: _ClassVar[Score]
    SCORE_NEIGHBOURS: _ClassVar[Score]

class FeatureNormalization(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEATURE_NORMALIZATION_UNSPECIFIED: _ClassVar[FeatureNormalization]
    FEATURE_NORMALIZATION_STANDARD: _ClassVar[FeatureNormalization]
    FEATURE_NORMALIZATION_NONE: _ClassVar[FeatureNormalization]
ORDER_UNSPECIFIED: Order
ORDER_EASY_FIRST: Order
ORDER_HARD_FIRST: Order
ORDER_REVERSED: Order
ORDER_SHUFFLED: Order
PACING_UNSPECIFIED: Pacing
PACING_LINEAR: Pacing
PACING_QUADRATIC: Pacing
PACING_ROOT: Pacing
PACING_COSINE: Pacing
PACING_EXPONENTIAL: Pacing
PACING_LOGARITHMIC: Pacing
PACING_STEP: Pacing
PACING_GEOMETRIC: Pacing
PACING_COMPETENCE: Pacing
NORMALIZATION_UNSPECIFIED: Normalization
NORMALIZATION_CLUSTER_MIN_MAX: Normalization
NORMALIZATION_CLUSTER_RANK: Normalization
NORMALIZATION_GLOBAL_MIN_MAX: Normalization
NORMALIZATION_NONE: Normalization
SCORE_UNSPECIFIED: Score
SCORE_DISTANCE: Score
SCORE_COSINE: Score
SCORE_NEIGHBOURS: Score
FEATURE_NORMALIZATION_UNSPECIFIED: FeatureNormalization
FEATURE_NORMALIZATION_STANDARD: FeatureNormalization
FEATURE_NORMALIZATION_NONE: FeatureNormalization

class Clusters(_message.Message):
    __slots__ = ("fixed", "auto", "one_of")
    FIXED_FIELD_NUMBER: _ClassVar[int]
    AUTO_FIELD_NUMBER: _ClassVar[int]
    ONE_OF_FIELD_NUMBER: _ClassVar[int]
    fixed: int
    auto: ClusterRange
    one_of: ClusterList
    def __init__(self, fixed: _Optional[int] = ..., auto: _Optional[_Union[ClusterRange, _Mapping]] = ..., one_of: _Optional[_Union[ClusterList, _Mapping]] = ...) -> None: ...

class ClusterRange(_message.Message):
    __slots__ = ("min", "max")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    min: int
    max: int
    def __init__(self, min: _Optional[int] = ..., max: _Optional[int] = ...) -> None: ...

class ClusterList(_message.Message):
    __slots__ = ("clusters",)
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    clusters: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, clusters: _Optional[_Iterable[int]] = ...) -> None: ...

class Schedule(_message.Message):
    __slots__ = ("initial_effective_fraction", "warmup_iterations", "pacing", "min_temperature", "max_temperature", "max_effective_fraction", "draws")
    INITIAL_EFFECTIVE_FRACTION_FIELD_NUMBER: _ClassVar[int]
    WARMUP_ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    PACING_FIELD_NUMBER: _ClassVar[int]
    MIN_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    MAX_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    MAX_EFFECTIVE_FRACTION_FIELD_NUMBER: _ClassVar[int]
    DRAWS_FIELD_NUMBER: _ClassVar[int]
    initial_effective_fraction: float
    warmup_iterations: int
    pacing: Pacing
    min_temperature: float
    max_temperature: float
    max_effective_fraction: float
    draws: int
    def __init__(self, initial_effective_fraction: _Optional[float] = ..., warmup_iterations: _Optional[int] = ..., pacing: _Optional[_Union[Pacing, str]] = ..., min_temperature: _Optional[float] = ..., max_temperature: _Optional[float] = ..., max_effective_fraction: _Optional[float] = ..., draws: _Optional[int] = ...) -> None: ...

class Parameters(_message.Message):
    __slots__ = ("clusters", "seed", "max_failed_fraction", "schedule", "by_label", "min_cluster_size", "normalization", "score", "feature_normalization")
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    MAX_FAILED_FRACTION_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    BY_LABEL_FIELD_NUMBER: _ClassVar[int]
    MIN_CLUSTER_SIZE_FIELD_NUMBER: _ClassVar[int]
    NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    FEATURE_NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
    clusters: Clusters
    seed: int
    max_failed_fraction: float
    schedule: Schedule
    by_label: bool
    min_cluster_size: int
    normalization: Normalization
    score: Score
    feature_normalization: FeatureNormalization
    def __init__(self, clusters: _Optional[_Union[Clusters, _Mapping]] = ..., seed: _Optional[int] = ..., max_failed_fraction: _Optional[float] = ..., schedule: _Optional[_Union[Schedule, _Mapping]] = ..., by_label: bool = ..., min_cluster_size: _Optional[int] = ..., normalization: _Optional[_Union[Normalization, str]] = ..., score: _Optional[_Union[Score, str]] = ..., feature_normalization: _Optional[_Union[FeatureNormalization, str]] = ...) -> None: ...
