"""The Python twin of the geometry against the core's: the same numbers and the same sentences."""

import itertools

import numpy as np
import pytest
from cases import DELIBERATE, random_cases

from bnn_tf import _core, geometry

MODES = (("same", (0, 0, 0, 0)), ("VALID", (0, 0, 0, 0)), ("explicit", (1, 0, 2, 3)))


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except ValueError as error:
        return str(error)


def assert_twins(name, *arguments):
    expected, actual = (outcome(getattr(module, name), *arguments) for module in (_core, geometry))
    assert actual == expected, f"{name}{arguments}"
    return expected


def test_a_sweep_of_windows():
    answers = [
        assert_twins(
            "conv_geometry",
            "BinaryConv2D",
            (2, h, w, 4),
            (kh, kw, 4 // groups, 6),
            strides,
            mode,
            explicit,
            dilations,
            groups,
        )
        for h, w in ((0, 5), (1, 1), (4, 7), (13, 2))
        for kh, kw in ((1, 1), (3, 2), (5, 5))
        for strides in ((1, 1), (2, 3))
        for dilations in ((1, 1), (2, 1), (3, 4))
        for groups in (1, 2)
        for mode, explicit in MODES
    ]
    assert sum(isinstance(answer, str) for answer in answers) > 20  # kernels larger than the image
    assert sum(isinstance(answer, tuple) for answer in answers) > 200


def test_unknown_sizes():
    """Every subset of the eight sizes unknown, in every padding."""
    sizes = (2, 9, 8, 6, 3, 2, 6, 4)
    for unknown in itertools.product((False, True), repeat=8):
        shapes = tuple(None if hide else size for hide, size in zip(unknown, sizes, strict=True))
        for mode, explicit in MODES:
            answer = assert_twins(
                "conv_geometry", "BinaryConv2D", shapes[:4], shapes[4:], (2, 1), mode, explicit, (1, 2), 1
            )
            assert isinstance(answer, tuple), answer


def test_random_windows(rng):
    for case in (*DELIBERATE, *random_cases(rng, 200)):
        explicit = (0, 0, 0, 0) if isinstance(case.padding, str) else tuple(itertools.chain(*case.padding))
        mode = case.padding if isinstance(case.padding, str) else "explicit"
        answer = assert_twins(
            "conv_geometry",
            "BinaryConv2D",
            case.image,
            case.kernel_shape,
            case.strides,
            mode,
            explicit,
            case.dilations,
            case.groups,
        )
        assert isinstance(answer, tuple), answer


BIG = 2**40

MISTAKES = {
    "sizes can't be negative": ((-2, 5, 5, 4), (3, 3, 4, 6)),
    "the kernel is empty": ((2, 5, 5, 4), (3, 0, 4, 6)),
    "`strides` must lie in 1..2^30. Got 0 along the height": ((2, 5, 5, 4), (3, 3, 4, 6), (0, 1)),
    "`dilations` must lie in 1..2^30. Got -1 along the width": (
        (2, 5, 5, 4),
        (3, 3, 4, 6),
        (1, 1),
        "same",
        (0,) * 4,
        (1, -1),
    ),
    "the width of image and kernel may be at most 2^30": ((2, 5, BIG, 4), (3, 3, 4, 6)),
    'unknown padding "full"': ((2, 5, 5, 4), (3, 3, 4, 6), (1, 1), "full"),
    "explicit padding must lie in 0..2^30. Got [0, -1, 0, 0]": (
        (2, 5, 5, 4),
        (3, 3, 4, 6),
        (1, 1),
        "explicit",
        (0, -1, 0, 0),
    ),
    "`groups` must be at least 1. Got groups=0": ((2, 5, 5, 4), (3, 3, 4, 6), (1, 1), "same", (0,) * 4, (1, 1), 0),
    "`groups` must divide the input channels. Got groups=3 and 4": (
        (2, 5, 5, 4),
        (3, 3, 1, 6),
        (1, 1),
        "same",
        (0,) * 4,
        (1, 1),
        3,
    ),
    "`groups` must divide the filters. Got groups=4 and 6 filters": (
        (2, 5, 5, 4),
        (3, 3, 1, 6),
        (1, 1),
        "same",
        (0,) * 4,
        (1, 1),
        4,
    ),
    "a kernel may see at most 2^30 channels": ((2, 5, 5, None), (3, 3, BIG, 6)),
    "the kernel sees 3 channels a group and the input has 4 in 1 group.": ((2, 5, 5, 4), (3, 3, 3, 6)),
    "the kernel sees 3 channels a group and the input has 4 in 2 groups.": (
        ((2, 5, 5, 4), (3, 3, 3, 6), (1, 1), "same", (0,) * 4, (1, 1), 2)
    ),
    "the kernel is larger than the image. Got a width of 2": ((2, 5, 2, 4), (3, 3, 4, 6), (1, 1), "valid"),
    "a filter may have at most 2^30 weights": ((2, 5, 5, 2**20), (2**6, 2**6, 2**20, 6)),
    "the input would have more than 2^56 elements": ((BIG, 2**10, 2**10, 4), (3, 3, 4, 6)),
    "the kernel would have more than 2^56 elements": ((2, 5, 5, 2**20), (3, 3, 2**20, BIG)),
    "the output would have more than 2^56 elements": ((2**30, 2**10, 2**10, 4), (3, 3, 4, BIG // 64)),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_have_one_sentence(text):
    defaults = ((1, 1), "same", (0, 0, 0, 0), (1, 1), 1)
    arguments = MISTAKES[text]
    answer = assert_twins("conv_geometry", "BinaryConvInput2D", *arguments, *defaults[len(arguments) - 2 :])
    assert isinstance(answer, str) and answer.startswith(f"BinaryConvInput2D: {text}")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((5, 3, 3, 7), (5, 7)),
        ((None, None, 3, None), (None, None)),
        ((5, 3, 0, 7), "BinaryDense: the kernel is empty. Got a kernel of shape [0, 7]"),
        ((5, 3, 4, 7), "BinaryDense: the kernel takes 4 channels and the input has 3."),
        ((5, 2**31, 2**31, 7), "BinaryDense: a filter may have at most 2^30 weights."),
        ((BIG, 2**20, 2**20, 7), "BinaryDense: the input would have more than 2^56 elements."),
    ],
)
def test_dense(arguments, expected):
    answer = assert_twins("dense_geometry", "BinaryDense", *arguments)
    assert answer[: len(expected)] == expected


def test_options():
    for scaling in ("channel", "tensor", "none", "filter", ""):
        assert_twins("check_scaling", "BinaryDense", scaling)
    for value in (-2, -1, 0, 1, 2):
        assert_twins("check_pad_value", "BinaryConvInput2D", value)


def test_ranks():
    for x, kernel, argument, rank, layout in (
        ((2, 3), (3, 3, 4, 6), "x", 4, "[batch, height, width, channels]"),
        ((2, 3, 3, 4), (3, 6), "kernel", 4, "[height, width, channels / groups, filters]"),
    ):
        expected = outcome(_core.binary_conv2d, np.zeros(x), np.zeros(kernel))
        wrong = x if argument == "x" else kernel
        assert outcome(geometry.check_rank, "BinaryConv2D", argument, wrong, rank, layout) == expected
