"""Which signatures a model is exported with."""

from hierbert_tf.config_export import BFLOAT16, ExportConfig
from hierbert_tf.errors import InputError
from hierbert_tf.models.pretrainer import HierarchicalBertPretrainer
from hierbert_tf.models.question_answering import HierarchicalBertQuestionAnswering
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.serving.answer import Answer, AnswerIds
from hierbert_tf.serving.classify import Classify, ClassifyExamples, ClassifyIds
from hierbert_tf.serving.embed import Embed, EmbedIds
from hierbert_tf.serving.endpoint import Endpoint, ModelEndpoint
from hierbert_tf.serving.fill_mask import FillMask, FillMaskIds, masked_lm_task
from hierbert_tf.serving.load_model import LoadedModel
from hierbert_tf.serving.weights import read_from, small_variables


def endpoints_for(found: LoadedModel, config: ExportConfig) -> list[Endpoint]:
    """The model's own endpoints, the default first, and `embed`, which every model has.

    Args:
        found: the model.
        config: `text_fields` of a classifier must be 1 or 2.

    Raises:
        InputError: a setting does not fit the model.
    """
    endpoints = _endpoints(found, config)
    if config.weights == BFLOAT16:
        variables = small_variables(found.model)
        for endpoint in endpoints:
            if isinstance(endpoint, ModelEndpoint):
                endpoint.reading = lambda: read_from(variables)
    return endpoints


def _endpoints(found: LoadedModel, config: ExportConfig) -> list[Endpoint]:
    model = found.model
    embed = _embed(found, config)
    if isinstance(model, HierarchicalBertTextClassifier):
        classify_ids = ClassifyIds(model)
        classify = Classify(classify_ids, model, config.text_fields)
        return [classify, classify_ids, ClassifyExamples(classify), *embed]
    if isinstance(model, HierarchicalBertQuestionAnswering):
        return [Answer(model), AnswerIds(model), *embed]
    if isinstance(model, HierarchicalBertPretrainer) and masked_lm_task(model):
        fill_mask_ids = FillMaskIds(model, found.tokenizer, config.top_k)
        positions = found.backbone.max_sequence_length
        return [FillMask(fill_mask_ids, found.tokenizer, positions), fill_mask_ids, *embed]
    return embed


def _embed(found: LoadedModel, config: ExportConfig) -> list[Endpoint]:
    backbone, settings = found.backbone, config.embed
    layer = backbone.num_layers if settings.layer == "last" else settings.layer
    if not isinstance(layer, int):
        raise InputError(f"embed.layer is {layer!r}; give a number or last")
    length = settings.sequence_length or backbone.max_sequence_length
    if not 5 <= length <= backbone.max_sequence_length:
        raise InputError(
            f"embed.sequence_length is {length}; give 5 to the encoder's "
            f"{backbone.max_sequence_length} positions, or 0 for these"
        )
    embed_ids = EmbedIds(backbone, layer, settings.pooling)
    return [Embed(embed_ids, found.tokenizer, length), embed_ids]
