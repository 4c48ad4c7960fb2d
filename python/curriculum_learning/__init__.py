"""Drop-in for the module `curriculum_learning` of the paper's own code: the same names, on a Curriculum Server.

Needs PyTorch. New code is better off with `curriculum` and its samplers, which follow the iteration on their own; what
this module keeps for old scripts is documented where it differs from them.
"""

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError("curriculum_learning needs PyTorch: pip install 'curriculum-server[torch]'") from error

from curriculum_learning._convert import convert_legacy
from curriculum_learning._extractors import FeatureExtractor, PretrainedModelExtractor
from curriculum_learning._factory import create_curriculum_learning, create_curriculum_learning_with_dino
from curriculum_learning._learning import CurriculumLearning

__all__ = [
    "CurriculumLearning",
    "FeatureExtractor",
    "PretrainedModelExtractor",
    "convert_legacy",
    "create_curriculum_learning",
    "create_curriculum_learning_with_dino",
]
