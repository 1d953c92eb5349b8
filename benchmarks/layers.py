"""The layers of the table: those of networks that people know, and variants that show what a size or stride does."""

from bnn_tf.bench import CIFAR_RESNET, RESNET18, Layer

LENET = (
    Layer("LeNet", (28, 28, 1), 32, (5, 5)),
    Layer("LeNet", (14, 14, 32), 64, (5, 5)),
    Layer("LeNet", (1, 1, 3136), 1024, None),
)
# The first layer, of VALID padding in the network, has SAME here; its 227 pixels then give 57.
ALEXNET = (
    Layer("AlexNet", (227, 227, 3), 96, (11, 11), 4),
    Layer("AlexNet", (27, 27, 96), 256, (5, 5), groups=2),
    Layer("AlexNet", (13, 13, 256), 384),
    Layer("AlexNet", (13, 13, 384), 384, groups=2),
    Layer("AlexNet", (13, 13, 384), 256, groups=2),
    Layer("AlexNet", (1, 1, 9216), 4096, None),
    Layer("AlexNet", (1, 1, 4096), 4096, None),
)
VARIANTS = tuple(
    Layer("variants", image, image[2], kernel, stride)
    for image in ((28, 28, 128), (14, 14, 256))
    for kernel, stride in (((1, 1), 1), ((3, 3), 2))
)
LAYERS = (*RESNET18, *CIFAR_RESNET, *LENET, *ALEXNET, *VARIANTS)
QUICK = (RESNET18[2], RESNET18[0], CIFAR_RESNET[0], CIFAR_RESNET[2], LENET[0], ALEXNET[-1])

# Kind of growth: (what grows, its values, the layer and batch for a value).
GROWTH = {
    "channels": ((16, 32, 64, 128, 256, 512, 1024), lambda n: (Layer("growth", (14, 14, n), n), 1)),
    "image": ((4, 8, 14, 28, 56, 112), lambda n: (Layer("growth", (n, n, 64), 64), 1)),
    "batch": ((1, 2, 4, 8, 16, 32, 64), lambda n: (Layer("growth", (14, 14, 64), 64), n)),
    "kernel": ((1, 2, 3, 4, 5, 7, 9, 11), lambda n: (Layer("growth", (14, 14, 128), 128, (n, n)), 1)),
}
GROWTH_TITLES = {
    "channels": "channels in and out (14x14, 3x3, batch 1)",
    "image": "height and width (64 channels, 3x3, batch 1)",
    "batch": "batch (14x14x64, 3x3)",
    "kernel": "kernel height and width (14x14x128, batch 1)",
}
