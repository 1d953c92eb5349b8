"""What a data set is like: how many images each class has, and how its images lie to each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from bnn_tf.errors import ArgumentError, unknown_name
from bnn_tf.plots.style import beside, colour, hatch, legend_below, panels, plain, series, soft_grid

if TYPE_CHECKING:
    from bnn_tf.data import Dataset

Floats = npt.NDArray[np.float32]

# Markers and colours tell so many classes apart; where there are more, a few of them are shown.
_MOST_CLASSES, _A_FEW = 20, 10
# Images are averaged down to so many pixels a side: more would cost memory, and distances hardly change.
_SIDE = 32
# t-SNE goes from so many principal components, which take most of the noise away.
_COMPONENTS = 50


def class_counts(dataset: "Dataset", title: str = "") -> Figure:
    """How many images of each class the training and the test part have.

    Args:
        dataset: a data set.
        title: of the picture; by default the data set's name.

    Returns:
        A `matplotlib.figure.Figure` with two bars for each class.

    Example:

    >>> class_counts(bnn_tf.data.load("digits")).savefig("classes.png")
    """
    figure, (axes,) = panels(1, 1, (7, 1.4 + 0.3 * dataset.classes), title or dataset.name)
    places = np.arange(dataset.classes)
    for index, part in enumerate(("train", "test")):
        counts = dataset.histogram(part)
        label = f"{part}: {counts.sum():,} images"
        style: dict[str, Any] = {
            "color": colour(index + 1),
            "hatch": hatch(index),
            "edgecolor": "white",
            "linewidth": 0.5,
        }
        axes.barh(places + beside(index, 2), counts, 0.4, label=label, **style)
    axes.set_yticks(places, [plain(name) for name in dataset.class_names], fontsize="small")
    axes.set_ylim(dataset.classes - 0.4, -0.6)
    axes.set_xlabel("images")
    axes.set_ylabel("class")
    soft_grid(axes, "x")
    legend_below(figure)
    return figure


def principal_components(
    dataset: "Dataset",
    part: str = "train",
    *,
    most: int = 1000,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    title: str = "",
) -> Figure:
    """The images as points in the plane of their two first principal components.

    Args:
        dataset: a data set.
        part: "train" or "test".
        most: at most so many images, drawn at random.
        classes: names of the classes to show, up to 20; by default all or, where they are more than 20, the first ten.
        seed: int, of the draw.
        title: of the picture; by default the data set's name.

    Returns:
        A `matplotlib.figure.Figure`; the axes say how much of the variance they hold.

    Raises:
        ArgumentError: a ValueError, for an unknown part or class, or fewer than three images.

    Example:

    >>> principal_components(bnn_tf.data.load("digits")).savefig("components.png")
    """
    from sklearn.decomposition import PCA

    pixels, labels, shown = _images("principal_components", dataset, part, most, classes, seed, 3)
    fitted = PCA(2, random_state=seed)
    points = fitted.fit_transform(pixels)
    names = [
        f"component {number} ({share:.1%} of the variance)"
        for number, share in enumerate(fitted.explained_variance_ratio_, 1)
    ]
    return _scatter(points, labels, shown, dataset, names, title)


def t_sne(
    dataset: "Dataset",
    part: str = "train",
    *,
    most: int = 500,
    classes: Sequence[str] | None = None,
    perplexity: float = 30.0,
    seed: int = 0,
    title: str = "",
) -> Figure:
    """The images as points of which those are near each other that look alike; far distances mean nothing.

    Args:
        dataset, part, most, classes, seed, title: see `principal_components`.
        perplexity: about how many neighbours an image has; below the number of images.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ArgumentError: a ValueError, as `principal_components`, and for a perplexity out of range.

    Example:

    >>> t_sne(bnn_tf.data.load("digits"), most=200).savefig("t_sne.png")

    Source: van der Maaten, Hinton, "Visualizing Data using t-SNE", 2008.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    pixels, labels, shown = _images("t_sne", dataset, part, most, classes, seed, 4)
    if not 0 < perplexity < len(pixels):
        raise ArgumentError(
            f"t_sne: `perplexity` must lie between 0 and the {len(pixels)} images. Got perplexity={perplexity}."
        )
    few = PCA(min(_COMPONENTS, *pixels.shape), random_state=seed).fit_transform(pixels)
    with threadpool_limits(1, "openmp"):  # threads that wait for each other take ten times the work
        points = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(few)
    return _scatter(points, labels, shown, dataset, ["t-SNE 1 (no unit)", "t-SNE 2 (no unit)"], title)


def _images(
    function: str, dataset: "Dataset", part: str, most: int, classes: Sequence[str] | None, seed: int, least: int
) -> tuple[Floats, npt.NDArray[np.int64], list[int]]:
    """Images as rows of pixels, their labels, and the labels that are shown."""
    if most < least:
        raise ArgumentError(f"{function}: `most` must be at least {least}. Got most={most}.")
    shown = _shown(function, dataset, classes)
    labels = dataset.labels(part)
    places = np.flatnonzero(np.isin(labels, shown))
    if len(places) < least:
        raise ArgumentError(
            f"{function}: at least {least} images are needed. The {part} part of {dataset.name} has {len(places)}."
        )
    places = np.sort(np.random.default_rng(seed).permutation(places)[:most])
    pixels = np.stack([_reduced(np.asarray(image)) for image in dataset.images(part)[places]])
    return pixels.reshape(len(places), -1), labels[places], shown


def _shown(function: str, dataset: "Dataset", classes: Sequence[str] | None) -> list[int]:
    if classes is None:
        return list(range(dataset.classes if dataset.classes <= _MOST_CLASSES else _A_FEW))
    names = [classes] if isinstance(classes, str) else list(classes)
    if not 0 < len(names) <= _MOST_CLASSES:
        raise ArgumentError(f"{function}: `classes` must name 1 to {_MOST_CLASSES} classes. Got {len(names)}.")
    for name in names:
        if name not in dataset.class_names:
            raise unknown_name(f"class of {dataset.name}", name, dataset.class_names)
    return [dataset.class_names.index(name) for name in names]


def _reduced(image: npt.NDArray[np.uint8]) -> Floats:
    """The image as floats, averaged over blocks where it has more than 32 pixels a side; a rest at the edges is cut."""
    height, width, channels = image.shape
    down, across = max(1, height // _SIDE), max(1, width // _SIDE)
    cut = image[: height // down * down, : width // across * across].astype(np.float32)
    return cut.reshape(height // down, down, width // across, across, channels).mean(axis=(1, 3))


def _scatter(
    points: Floats, labels: npt.NDArray[np.int64], shown: list[int], dataset: "Dataset", names: list[str], title: str
) -> Figure:
    figure, (axes,) = panels(1, 1, (7.5, 5.5), title or f"{dataset.name}: {len(points):,} images")
    for index, label in enumerate(shown):
        own = points[labels == label]
        if len(own):
            name = plain(dataset.class_names[label])
            axes.plot(own[:, 0], own[:, 1], alpha=0.7, label=name, **series(index, linestyle="none"))
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    some = "class" if len(shown) == dataset.classes else f"{len(shown)} of {dataset.classes} classes"
    axes.legend(title=some, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    soft_grid(axes)
    return figure
