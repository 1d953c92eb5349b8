"""Flatten for images of any size: every window in turn."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="bnn_tf")
class Windows(keras.layers.Layer):
    """The pixels of each window of an image, as channels: what `Flatten` makes of a crop of that size, at every place.

    Formula: `y[n, p, q, (i * width + j) * channels + c] = x[n, p + i * d, q + j * d, c]`, with d the dilation.

    `bnn_tf.convolutionize` puts it where something with weights of its own for each feature, such as a batch
    normalisation, stands between `Flatten` and the dense layer. With nothing between, a convolution does as well.

    Args:
        size: pair, height and width of a window.
        dilation_rate: pair, the steps between the pixels of a window.
        **kwargs: `name`, `dtype`: as in every Keras layer.

    Input shape:
        A 4D tensor `(batch, height, width, channels)`.

    Output shape:
        A 4D tensor `(batch, new_height, new_width, size[0] * size[1] * channels)`.

    Example:

    >>> Windows((7, 7))(np.ones((1, 9, 8, 64))).shape   # (1, 3, 2, 3136)
    """

    def __init__(self, size: tuple[int, int], dilation_rate: tuple[int, int] = (1, 1), **kwargs: Any):
        super().__init__(**kwargs)
        self.size = tuple(size)
        self.dilation_rate = tuple(dilation_rate)

    def call(self, inputs: Any) -> Any:
        rows, columns = (
            [slice(i * step, (i + 1 - count) * step or None) for i in range(count)]
            for count, step in zip(self.size, self.dilation_rate, strict=True)
        )
        return keras.ops.concatenate([inputs[:, row, column] for row in rows for column in columns], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        batch, *image, channels = input_shape
        places = [
            None if length is None else length - (count - 1) * step
            for length, count, step in zip(image, self.size, self.dilation_rate, strict=True)
        ]
        return (batch, *places, self.size[0] * self.size[1] * channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "dilation_rate": self.dilation_rate}
