"""The mathematics again, in NumPy and float64, written to be read: what the packed and the composed code must equal.

It shares nothing with either: padding is worked out here, and a convolution is a gather of every window and then a sum.
"""

import numpy as np


def sign(u):
    with np.errstate(invalid="ignore"):
        return np.where(np.asarray(u) >= 0, 1.0, -1.0)


def axis_padding(size, kernel, stride, dilation, padding, axis):
    """(before, output size) of one axis."""
    reach = dilation * (kernel - 1) + 1
    if padding == "same":
        out = int(np.ceil(size / stride))
        missing = max(0, (out - 1) * stride + reach - size)
        return missing // 2, out
    before, after = (0, 0) if padding == "valid" else padding[axis]
    return before, len(range(0, before + size + after - reach + 1, stride))


class Windows:
    """Every window of an image: which pixel each tap of each output sees, and whether it lies inside."""

    def __init__(self, image_hw, kernel_hw, strides, padding, dilations):
        self.index, self.inside = [], []
        for axis in range(2):
            size, kernel, stride, dilation = image_hw[axis], kernel_hw[axis], strides[axis], dilations[axis]
            before, out = axis_padding(size, kernel, stride, dilation, padding, axis)
            position = np.arange(out)[:, None] * stride + np.arange(kernel)[None, :] * dilation - before
            self.inside.append((position >= 0) & (position < size))
            self.index.append(np.clip(position, 0, max(size - 1, 0)))

    def gather(self, x, fill):
        """[n, h, w, c] -> [n, p, i, q, j, c], with `fill` outside the image."""
        (rows, columns), (rows_inside, columns_inside) = self.index, self.inside
        taken = x[:, rows][:, :, :, columns]
        inside = rows_inside[:, :, None, None, None] & columns_inside[None, None, :, :, None]
        return np.where(inside, taken, fill)

    def scatter(self, taken, shape):
        """The transpose of `gather`: what falls outside is lost."""
        (rows, columns), (rows_inside, columns_inside) = self.index, self.inside
        inside = rows_inside[:, :, None, None, None] & columns_inside[None, None, :, :, None]
        image = np.zeros(shape)
        where = (slice(None), rows[:, :, None, None], columns[None, None, :, :])
        np.add.at(image, where, np.where(inside, taken, 0))
        return image


def alpha(kernel, scaling):
    magnitude = np.abs(kernel.astype(np.float64))
    filters = kernel.shape[-1]
    if scaling == "channel":
        return magnitude.reshape(-1, filters).mean(0)
    return np.full(filters, magnitude.mean() if scaling == "tensor" else 1.0)


def conv2d(
    x,
    kernel,
    strides=(1, 1),
    padding="same",
    dilations=(1, 1),
    groups=1,
    scaling="channel",
    binary_input=False,
    input_scaling=True,
    pad_value=0,
):
    """Both convolutions; float64."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    kh, kw, group_channels, filters = kernel.shape
    windows = Windows(x.shape[1:3], (kh, kw), strides, padding, dilations)
    outputs = []
    for g in range(groups):
        image = x[..., g * group_channels : (g + 1) * group_channels]
        weights = sign(kernel[..., g * (filters // groups) : (g + 1) * (filters // groups)])
        taken = windows.gather(sign(image), pad_value) if binary_input else windows.gather(image, 0.0)
        y = np.einsum("npiqjc,ijco->npqo", taken, weights)
        if binary_input and input_scaling:
            a = np.abs(image).mean(-1, keepdims=True)
            y = y * windows.gather(a, 0.0).sum(axis=(2, 4)) / (kh * kw)
        outputs.append(y)
    return np.concatenate(outputs, axis=-1) * alpha(kernel, scaling)


def dense(x, kernel, scaling="channel", binary_input=False, input_scaling=True):
    """Both dense forms; float64."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    y = (sign(x) if binary_input else x) @ sign(kernel) * alpha(kernel, scaling)
    return y * np.abs(x).mean(-1, keepdims=True) if binary_input and input_scaling else y


def conv2d_gradients(
    x,
    kernel,
    dy,
    strides=(1, 1),
    padding="same",
    dilations=(1, 1),
    groups=1,
    scaling="channel",
    ste="identity",
    binary_input=False,
    input_scaling=True,
    pad_value=0,
    input_ste="clip",
    scale_gradient=True,
):
    """(dx, dkernel): the formula differentiated by hand; float64."""
    x, kernel, dy = (np.asarray(a, np.float64) for a in (x, kernel, dy))
    kh, kw, group_channels, filters = kernel.shape
    group_filters = filters // groups
    windows = Windows(x.shape[1:3], (kh, kw), strides, padding, dilations)
    scale = alpha(kernel, scaling)
    dx, dkernel, dalpha = np.zeros_like(x), np.zeros_like(kernel), np.zeros(filters)
    for g in range(groups):
        channels, outputs = (
            slice(g * group_channels, (g + 1) * group_channels),
            slice(g * group_filters, (g + 1) * group_filters),
        )
        image, weights, upstream = x[..., channels], sign(kernel[..., outputs]), dy[..., outputs]
        taken = windows.gather(sign(image), pad_value) if binary_input else windows.gather(image, 0.0)
        product = np.einsum("npiqjc,ijco->npqo", taken, weights)
        a = np.abs(image).mean(-1, keepdims=True)
        k = windows.gather(a, 0.0).sum(axis=(2, 4)) / (kh * kw) if binary_input and input_scaling else 1.0

        dproduct = upstream * scale[outputs] * k
        dkernel[..., outputs] = np.einsum("npiqjc,npqo->ijco", taken, dproduct)
        dalpha[outputs] = (upstream * k * product).sum((0, 1, 2))
        dimage = windows.scatter(np.einsum("npqo,ijco->npiqjc", dproduct, weights), image.shape)
        if binary_input:
            dimage *= ste_values(input_ste, image)
        if binary_input and input_scaling:
            dk = (upstream * scale[outputs] * product).sum(-1)
            da = windows.scatter(np.broadcast_to(dk[:, :, None, :, None, None], (*taken.shape[:-1], 1)), a.shape) / (
                kh * kw
            )
            dimage += np.sign(image) * da / group_channels
        dx[..., channels] = dimage
    dkernel *= ste_values(ste, kernel)
    if scale_gradient and scaling == "channel":
        dkernel += np.sign(kernel) * dalpha / (kh * kw * group_channels)
    elif scale_gradient and scaling == "tensor":
        dkernel += np.sign(kernel) * dalpha.sum() / kernel.size
    return dx, dkernel


def ste_values(ste, u):
    return np.ones_like(u) if ste == "identity" else (np.abs(u) <= 1).astype(np.float64)
