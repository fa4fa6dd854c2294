"""Hierarchical multitask pre-training of BERT-like encoders.

The names below are the public interface; `docs/quickstart.md` uses them from end to end.
"""

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

# Read when TensorFlow is imported. It keeps most start-up messages off the screen; a few about
# a missing GPU come before TensorFlow looks at it. What goes wrong is raised, not logged.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# All at once, not one by one when asked for: Keras finds a saved model's classes only after the
# modules that register them. Without TensorFlow, as on a machine with JAX alone, the submodules
# that do without it can be imported: `config`, `layers` and `models.backbone`.
if TYPE_CHECKING or find_spec("tensorflow"):
    from hierbert_tf.config import (
        CorpusConfig,
        DataConfig,
        EncoderConfig,
        MonitorConfig,
        ReceivesConfig,
        RunConfig,
        SourceConfig,
        TaskConfig,
        TrainingConfig,
        VocabularyConfig,
    )
    from hierbert_tf.config_file import dump_config, load_config
    from hierbert_tf.config_finetuning import (
        FinetuningConfig,
        FinetuningTrainingConfig,
        LabelledDataConfig,
        ModelConfig,
    )
    from hierbert_tf.corpus.prepare import prepare
    from hierbert_tf.corpus.vocabulary import Vocabulary
    from hierbert_tf.data.pipeline import PretrainingData
    from hierbert_tf.downstream.question_examples import (
        GoldAnswer,
        QuestionExample,
        read_question_examples,
    )
    from hierbert_tf.downstream.text_examples import TextExample, read_text_examples
    from hierbert_tf.errors import InputError, RunStopped
    from hierbert_tf.evaluation.classification_scores import classification_scores
    from hierbert_tf.evaluation.squad_scores import squad_scores
    from hierbert_tf.models.answer_extraction import Candidate, ExtractedAnswers
    from hierbert_tf.models.backbone import HierarchicalBertBackbone
    from hierbert_tf.models.pretrainer import (
        HierarchicalBertPretrainer,
        build_pretrainer,
    )
    from hierbert_tf.models.question_answering import HierarchicalBertQuestionAnswering
    from hierbert_tf.models.question_answering_preprocessor import (
        HierarchicalBertQuestionAnsweringPreprocessor,
    )
    from hierbert_tf.models.rebuild import random_backbone, rebuild_backbone
    from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
    from hierbert_tf.models.text_classifier_preprocessor import (
        HierarchicalBertTextClassifierPreprocessor,
    )
    from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
    from hierbert_tf.pretraining import open_data
    from hierbert_tf.tasks import PretrainingTask, build_tasks
    from hierbert_tf.training.losses import GlobalMeanCrossEntropy
    from hierbert_tf.training.optimizer import AdamW
    from hierbert_tf.training.schedule import WarmupSchedule

else:

    def __getattr__(name: str) -> Any:
        """Says why a public name is missing where TensorFlow is."""
        if name in __all__:
            raise ImportError(
                f"hierbert_tf.{name} needs TensorFlow, which is not installed here; without it "
                "import hierbert_tf.config, hierbert_tf.layers.* and hierbert_tf.models.backbone."
            )
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__version__ = "0.1.0"

__all__ = [
    "AdamW",
    "Candidate",
    "CorpusConfig",
    "DataConfig",
    "EncoderConfig",
    "ExtractedAnswers",
    "FinetuningConfig",
    "FinetuningTrainingConfig",
    "GlobalMeanCrossEntropy",
    "GoldAnswer",
    "HierarchicalBertBackbone",
    "HierarchicalBertPretrainer",
    "HierarchicalBertQuestionAnswering",
    "HierarchicalBertQuestionAnsweringPreprocessor",
    "HierarchicalBertTextClassifier",
    "HierarchicalBertTextClassifierPreprocessor",
    "HierarchicalBertTokenizer",
    "InputError",
    "LabelledDataConfig",
    "ModelConfig",
    "MonitorConfig",
    "PretrainingData",
    "PretrainingTask",
    "QuestionExample",
    "ReceivesConfig",
    "RunConfig",
    "RunStopped",
    "SourceConfig",
    "TaskConfig",
    "TextExample",
    "TrainingConfig",
    "Vocabulary",
    "VocabularyConfig",
    "WarmupSchedule",
    "build_pretrainer",
    "build_tasks",
    "classification_scores",
    "dump_config",
    "load_config",
    "open_data",
    "prepare",
    "random_backbone",
    "read_question_examples",
    "read_text_examples",
    "rebuild_backbone",
    "squad_scores",
]
