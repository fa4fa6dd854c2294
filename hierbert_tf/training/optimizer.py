"""AdamW that is right for repeated ids, clips the summed gradient, and never applies a bad one.

Keras' AdamW on the TensorFlow backend squares the slices of an embedding's gradient one by one, so
a token that occurs 6 times in a batch moves sqrt(6) too far; and under `tf.distribute` it clips
each replica's gradient before the sum. Both are put right here, for `model.fit` and for our own
loop.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import tensorflow as tf

# Names of variables that are never decayed, as in BERT: biases and LayerNorm's scale and offset.
UNDECAYED = ("bias", "gamma", "beta", "log_variance")


def densify(gradient: Any) -> tf.Tensor:
    """A gradient as one tensor, the slices of repeated ids summed.

    Args:
        gradient: tensor or `tf.IndexedSlices`.

    Returns:
        Tensor of the variable's shape.

    Example:

    >>> slices = tf.IndexedSlices(tf.ones([3, 1]), tf.constant([0, 0, 1]), tf.constant([2, 1]))
    >>> densify(slices).numpy().tolist()
    [[2.0], [1.0]]
    """
    return tf.convert_to_tensor(gradient)


@keras.saving.register_keras_serializable(package="hierbert_tf")
class AdamW(keras.optimizers.AdamW):
    """Adam with decoupled weight decay (TensorFlow backend).

    Differs from Keras' AdamW in six points: gradients are densified; weight decay leaves biases
    and LayerNorm alone (embeddings *are* decayed, as in BERT); under `tf.distribute` the gradients
    are summed over the replicas first and clipped by their global norm after; a gradient that is
    not finite changes nothing, neither weights nor moments nor the step count; each variable is
    updated by one fused op (about half the time of Keras' chain of ops on a CPU); and a variable
    can have a learning rate of its own.

    Args:
        learning_rate: float or schedule.
        weight_decay: factor; a variable shrinks by `learning_rate * weight_decay` of itself a step.
        beta_1: decay of the first moment.
        beta_2: decay of the second moment.
        epsilon: added to the second moment's root.
        global_clipnorm: bound on the norm of all gradients together; None or 0: no bound.
        learning_rate_multipliers: variable's path -> factor of its learning rate, and with it of
            its weight decay; variables that are not named have 1. See
            `hierbert_tf.models.layer_decay`.
        name: name of the optimizer.
        **kwargs: Keras' other optimizer settings, which must have their defaults.

    Raises:
        ValueError: a setting of Keras' AdamW that this one does not have is not at its default; a
            multiplier is negative, or none of the paths is a variable's.

    Reference: Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101

    Example:

    >>> variable = keras.Variable([[1.0, 1.0]], name="kernel")
    >>> optimizer = AdamW(0.1, weight_decay=0.0, global_clipnorm=1.0)
    >>> round(float(optimizer.apply([tf.constant([[3.0, 4.0]])], [variable])), 3)  # the norm
    5.0
    >>> [round(float(value), 3) for value in variable[0]]
    [0.9, 0.9]
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        global_clipnorm: float | None = None,
        learning_rate_multipliers: Mapping[str, float] | None = None,
        name: str = "adamw",
        **kwargs: Any,
    ) -> None:
        defaults = {"ema_momentum": 0.99, "loss_scale_factor": None}
        unknown = {
            key for key, value in kwargs.items() if value and defaults.get(key, False) != value
        }
        if unknown:
            raise ValueError(f"hierbert_tf's AdamW has no {', '.join(sorted(unknown))}")
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            global_clipnorm=global_clipnorm or None,
            name=name,
        )
        # A proxy, since TensorFlow would wrap a dict and count it among what a checkpoint holds.
        self.learning_rate_multipliers = MappingProxyType(
            {path: float(factor) for path, factor in (learning_rate_multipliers or {}).items()}
        )
        for path, factor in self.learning_rate_multipliers.items():
            if not factor >= 0:
                raise ValueError(f"the learning rate's multiplier of {path!r} is {factor}, below 0")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for serialisation."""
        names = ("name", "learning_rate", "weight_decay", "beta_1", "beta_2", "epsilon")
        config = super().get_config()
        return {
            **{name: config[name] for name in (*names, "global_clipnorm")},
            "learning_rate_multipliers": dict(self.learning_rate_multipliers) or None,
        }

    def build(self, variables: Sequence[Any]) -> None:
        """Makes the moments of the variables."""
        super().build(variables)
        paths = {_path(variable) for variable in variables}
        if self.learning_rate_multipliers and not paths & self.learning_rate_multipliers.keys():
            raise ValueError(
                "none of the learning_rate_multipliers is the path of a variable: "
                f"{next(iter(self.learning_rate_multipliers))!r} is not like {min(paths)!r}"
            )

    def apply(
        self,
        grads: Sequence[Any],
        trainable_variables: Iterable[Any] | None = None,
        factor: Any = 1.0,
        permitted: Any = True,
    ) -> tf.Tensor:
        """Sums the gradients over the replicas, clips them and updates the variables once.

        Args:
            grads: this replica's gradients: tensors, `tf.IndexedSlices` or None (no gradient).
            trainable_variables: their variables; may be left out after the first call.
            factor: float32 scalar that every gradient is multiplied by (a loss scale's inverse).
            permitted: bool scalar, the same on every replica; False leaves everything as it is.

        Returns:
            float32 scalar: global norm of the summed gradient, after `factor`, before clipping. If
            it is not finite nothing was updated.
        """
        variables = list(
            self._trainable_variables if trainable_variables is None else trainable_variables
        )
        if not self.built:  # type: ignore[has-type]
            with keras.name_scope(self.name):
                self.build(variables)
            self.built = True
        self._check_variables_are_known(variables)
        pairs = [(densify(g), v) for g, v in zip(grads, variables, strict=True) if g is not None]
        gradients = sum_over_replicas([gradient for gradient, _ in pairs])
        if self.loss_scale_factor:
            factor = factor / self.loss_scale_factor
        norm = tf.linalg.global_norm(gradients) * factor
        permitted = tf.logical_and(tf.math.is_finite(norm), permitted)
        if self.global_clipnorm:
            factor = factor * tf.minimum(1.0, self.global_clipnorm / tf.maximum(norm, 1e-30))
        factor = tf.where(permitted, factor, 0.0)
        tf.__internal__.distribute.interim.maybe_merge_call(
            self._update_all,
            self._distribution_strategy,
            gradients,
            [variable for _, variable in pairs],
            self._coefficients(permitted, factor),
        )
        self._iterations.assign_add(tf.cast(permitted, self._iterations.dtype))
        return norm

    def _coefficients(self, permitted: tf.Tensor, factor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scalars of this step; when it is not permitted they make the update the identity.

        An identity instead of a condition: replicas cannot meet inside a `tf.cond`, XLA has no
        assertions, and the result is the same bit for bit (x - 0 and m + 0 * (0 - m)).
        """
        step = tf.cast(self.iterations + 1, tf.float32)
        rate = tf.cast(self.learning_rate, tf.float32)
        rate = tf.where(permitted, rate, 0.0)
        return {
            "factor": factor,
            "epsilon": tf.constant(self.epsilon),
            "rate": rate,
            "decay": rate * self.weight_decay,
            "beta_1": tf.where(permitted, self.beta_1, 1.0),
            "beta_2": tf.where(permitted, self.beta_2, 1.0),
            "beta_1_power": tf.pow(self.beta_1, step),
            "beta_2_power": tf.pow(self.beta_2, step),
        }

    def _update_all(
        self,
        distribution: Any,
        gradients: list[Any],
        variables: list[Any],
        coefficients: dict[str, Any],
    ) -> None:
        for gradient, variable in zip(gradients, variables, strict=True):
            index = self._get_variable_index(variable)
            distribution.extended.update(
                variable.value if isinstance(variable, keras.Variable) else variable,
                self._update,
                args=(
                    gradient,
                    self._momentums[index].value,
                    self._velocities[index].value,
                    self._use_weight_decay(variable),
                    self.learning_rate_multipliers.get(_path(variable), 1.0),
                    coefficients,
                ),
                group=False,
            )

    @staticmethod
    def _update(
        variable: Any,
        gradient: Any,
        momentum: Any,
        velocity: Any,
        decayed: bool,
        multiplier: float,
        coefficients: dict[str, Any],
    ) -> None:
        """One device's update of one variable: decay, then Adam, each as one pass over memory."""
        scalar = {name: tf.cast(c, variable.dtype) for name, c in coefficients.items()}
        if multiplier != 1.0:
            for name in ("rate", "decay"):
                scalar[name] = scalar[name] * multiplier
        if decayed:
            tf.raw_ops.ResourceApplyGradientDescent(
                var=variable.handle, alpha=scalar["decay"], delta=variable.read_value()
            )
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.handle,
            v=velocity.handle,
            beta1_power=scalar["beta_1_power"],
            beta2_power=scalar["beta_2_power"],
            lr=scalar["rate"],
            beta1=scalar["beta_1"],
            beta2=scalar["beta_2"],
            epsilon=scalar["epsilon"],
            # NaN * 0 is 0 here, which plain multiplication would not give.
            grad=tf.math.multiply_no_nan(tf.cast(gradient, variable.dtype), scalar["factor"]),
        )

    def _use_weight_decay(self, variable: Any) -> bool:
        # A LayerNorm or bias vector is known by its rank; biases of fused heads have a higher one.
        name = _path(variable).rsplit("/", 1)[-1]
        if len(variable.shape) < 2 or any(word in name for word in UNDECAYED):
            return False
        return bool(super()._use_weight_decay(variable))


def _path(variable: Any) -> str:
    """A Keras variable's path, a TensorFlow variable's name."""
    return getattr(variable, "path", variable.name)


def sum_over_replicas(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """All-reduced sum of each gradient; the gradients themselves on one replica."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1 or not gradients:
        return gradients
    return context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
