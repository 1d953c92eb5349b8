"""What an image becomes inside networks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnn_tf.errors import ArgumentError, unknown_name
from bnn_tf.plots.mosaics import grid
from bnn_tf.plots.style import SCALE, new_figure, plain, require, without_ticks
from bnn_tf.plots.weights import Floats, kernel_of, values

# Where no layers are named.
_MOST_LAYERS = 4


def feature_maps(
    models: Mapping[str, Any],
    image: npt.ArrayLike,
    layers: str | Sequence[str] | None = None,
    *,
    most: int = 16,
    title: str = "",
) -> Figure:
    """What layers of several models make of one image: float beside binary, say.

    Args:
        models: for each label a built functional or sequential model with one input; all take the same images.
        image: float `[height, width, channels]`, normalised as the models were trained (`Dataset.normalize`); a batch
            of one does, too.
        layers: names of layers that every model has; by default the first four convolutions that all have.
        most: at most so many maps of a layer.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure`: the image at the left, a row for each layer, a column for each model. Each has a
        scale of its own.

    Raises:
        ArgumentError: a ValueError, for an image of another shape or of integers, a model that isn't built, an unknown
            layer, or one that gives no maps.

    Example:

    >>> digits = bnn_tf.data.load("digits")
    >>> image = digits.normalize(digits.x_test[:1])[0]
    >>> networks = {scheme: bnn_tf.models.lenet(scheme, input_shape=(8, 8, 1)) for scheme in ("float", "bwn")}
    >>> feature_maps(networks, image, ["conv1", "conv2"]).savefig("maps.png")
    """
    require("feature_maps", "models", models)
    if most < 1:
        raise ArgumentError(f"feature_maps: `most` must be at least 1. Got most={most}.")
    for label, model in models.items():
        _check_model(label, model)
    picture = _checked(image, models)
    names = _common(models) if layers is None else [layers] if isinstance(layers, str) else list(layers)
    require("feature_maps", "layers", names)
    maps = {label: _maps(label, model, names, picture) for label, model in models.items()}
    figure = new_figure(2.4 + 4.0 * len(models), max(3.2, 3.4 * len(names)) + (0.4 if title else 0), title)
    places = figure.add_gridspec(len(names), 1 + len(models), width_ratios=[0.6, *[1] * len(models)])
    _draw_image(figure.add_subplot(places[:, 0]), picture)
    for row, name in enumerate(names):
        for column, label in enumerate(models):
            axes = figure.add_subplot(places[row, 1 + column])
            axes.set_title(plain(f"{label}: {name}"), fontsize="medium")
            _draw_maps(figure, axes, maps[label][name], most)
    return figure


def _check_model(label: str, model: Any) -> None:
    import keras

    if not isinstance(model, keras.Model):
        raise ArgumentError(f"feature_maps: {label!r} must be a Keras model. Got {model!r:.80}.")
    if not model.built or not getattr(model, "inputs", None):
        raise ArgumentError(
            f"feature_maps: {label!r} ({model.name}) isn't built, or isn't a functional or sequential model: its "
            "layers have no outputs yet. Begin it with keras.Input."
        )
    if len(model.inputs) != 1:
        raise ArgumentError(f"feature_maps: {label!r} ({model.name}) has {len(model.inputs)} inputs. It must have one.")


def _checked(image: npt.ArrayLike, models: Mapping[str, Any]) -> Floats:
    """The image as float32 [height, width, channels]; it fits every model."""
    array = np.asarray(image)
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if not np.issubdtype(array.dtype, np.floating):
        raise ArgumentError(
            f"feature_maps: `image` must be normalised as the models were trained. Got {array.dtype}. Take "
            "dataset.normalize(images)[0]."
        )
    for label, model in models.items():
        expected = model.inputs[0].shape[1:]
        fits = len(expected) == array.ndim == 3
        if not fits or any(size not in (None, own) for size, own in zip(expected, array.shape, strict=True)):
            raise ArgumentError(
                f"feature_maps: {label!r} takes images of the shape {tuple(expected)}. Got one of {array.shape}."
            )
    return array.astype(np.float32)


def _common(models: Mapping[str, Any]) -> list[str]:
    first, *others = (
        [layer.name for layer in model.layers if _gives_maps(layer) and kernel_of(layer) is not None]
        for model in models.values()
    )
    common = [name for name in first if all(name in names for names in others)]
    if not common:
        raise ArgumentError(
            "feature_maps: the models have no convolution of the same name. Name layers that all of them have."
        )
    return common[:_MOST_LAYERS]


def _gives_maps(layer: Any) -> bool:
    try:
        return len(layer.output.shape) == 4
    except (AttributeError, ValueError):  # several outputs, or called several times
        return False


def _maps(label: str, model: Any, names: Sequence[str], image: Floats) -> dict[str, Floats]:
    """For each layer its maps, [height, width, maps]."""
    import keras

    by_name = {layer.name: layer for layer in model.layers}
    for name in names:
        if name not in by_name:
            raise unknown_name(f"layer of {label}", name, by_name)
        if not _gives_maps(by_name[name]):
            raise ArgumentError(
                f"feature_maps: {name} of {label} gives no maps [height, width, channels]. Leave it out."
            )
    part = keras.Model(model.inputs[0], [by_name[name].output for name in names])
    outputs = part(image[np.newaxis], training=False)
    return {name: values(output)[0] for name, output in zip(names, outputs, strict=True)}


def _draw_image(axes: Axes, image: Floats) -> None:
    low, high = float(image.min()), float(image.max())
    shown = (image - low) / max(high - low, 1e-12)
    height, width, channels = image.shape
    axes.imshow(shown if channels == 3 else shown[..., 0], cmap="gray", interpolation="nearest")
    axes.set_title("image", fontsize="medium")
    axes.set_xlabel(f"{height}×{width} pixels")
    without_ticks(axes)


def _draw_maps(figure: Figure, axes: Axes, maps: Floats, most: int) -> None:
    count = maps.shape[2]
    shown = np.moveaxis(maps, 2, 0)[:most]
    picture = axes.imshow(grid(shown), cmap=SCALE, interpolation="nearest")
    height, width = maps.shape[:2]
    some = f"{count} maps" if len(shown) == count else f"maps 1 to {len(shown)} of {count}"
    axes.set_xlabel(f"{some}, {height}×{width}")
    without_ticks(axes)
    figure.colorbar(picture, ax=axes, shrink=0.8).set_label("output")
