"""The sizes that the tests sweep: deliberate ones, and random ones that follow from the seed."""

from typing import NamedTuple

import numpy as np

CHANNELS = (1, 2, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 130, 211)


class ConvCase(NamedTuple):
    """A convolution's shapes and window; the keywords of the ops come from `window`."""

    image: tuple[int, int, int, int]  # batch, height, width, channels
    kernel: tuple[int, int]
    filters: int
    strides: tuple[int, int] = (1, 1)
    padding: object = "same"
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def kernel_shape(self):
        return (*self.kernel, self.image[3] // self.groups, self.filters)

    @property
    def window(self):
        return {"strides": self.strides, "padding": self.padding, "dilations": self.dilations, "groups": self.groups}

    def __str__(self):
        n, h, w, c = self.image
        padding = (
            self.padding if isinstance(self.padding, str) else "-".join(str(p) for pair in self.padding for p in pair)
        )
        return (
            f"{n}x{h}x{w}x{c}_k{self.kernel[0]}x{self.kernel[1]}x{self.filters}_s{self.strides[0]}{self.strides[1]}"
            f"_d{self.dilations[0]}{self.dilations[1]}_g{self.groups}_{padding}"
        )


DELIBERATE = (
    [ConvCase((2, 5, 4, c), (3, 3), 5) for c in CHANNELS]
    + [ConvCase((1, 6, 7, 3), (3, 3), f, padding="valid") for f in (1, 2, 15, 16, 17, 31, 33, 64)]
    + [
        ConvCase((2, 7, 6, 5), kernel, 4, strides, padding)
        for kernel in ((1, 1), (5, 5), (1, 7), (2, 3))
        for strides in ((1, 1), (2, 2), (3, 3), (1, 3))
        for padding in ("same", ((2, 1), (0, 3)), ((3, 3), (3, 3)))
    ]
    + [
        ConvCase((2, 9, 8, 6), (3, 2), 6, strides, padding, dilations, groups)
        for strides in ((1, 1), (2, 3))
        for padding in ("same", "valid")
        for dilations in ((1, 1), (2, 1), (3, 2))
        for groups in (1, 2, 3, 6)
    ]
    + [
        ConvCase((1, 2, 2, 3), (5, 5), 4),  # an image smaller than the kernel
        ConvCase((1, 1, 1, 33), (3, 3), 17, (2, 2)),
        ConvCase((1, 3, 2, 1), (4, 2), 3, (1, 3)),  # where TensorFlow's own convolution errs
        ConvCase((1, 4, 4, 64), (3, 3), 64, groups=64),  # depthwise
        ConvCase((1, 13, 11, 3), (7, 7), 16, (4, 4)),
        ConvCase((1, 3, 3, 700), (3, 3), 9),  # deep
        ConvCase((1, 2, 70, 3), (1, 3), 200),  # wide
        ConvCase((7, 1, 1, 64), (1, 1), 10),
    ]
)


def random_cases(rng, count):
    """Shapes that nobody thought of."""
    cases = []
    while len(cases) < count:
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        image = (*(int(s) for s in rng.integers(1, (4, 12, 12))), int(rng.integers(1, 40)) * groups)
        kernel, dilations = rng.integers(1, 5, 2), rng.integers(1, 4, 2)
        padding = ["same", "valid", tuple(map(tuple, rng.integers(0, 4, (2, 2)).tolist()))][rng.integers(3)]
        reach = (kernel - 1) * dilations + 1
        room = np.array(image[1:3]) + (np.sum(padding, axis=1) if not isinstance(padding, str) else 0)
        if padding != "same" and (room < reach).any():
            continue
        cases.append(
            ConvCase(
                image,
                tuple(kernel.tolist()),
                int(rng.integers(1, 12)) * groups,
                tuple(rng.integers(1, 4, 2).tolist()),
                padding,
                tuple(dilations.tolist()),
                groups,
            )
        )
    return cases


def tensors(rng, image, kernel_shape):
    """An input and a kernel with values on both sides of 1, zeros of either sign among them."""
    x, kernel = (rng.normal(size=shape).astype(np.float32) for shape in (image, kernel_shape))
    for array in (x, kernel):
        flat = array.reshape(-1)
        flat[::7], flat[3::11] = 0.0, -0.0
    return x, kernel
