"""Classic networks, each in float and in every binary scheme.

>>> from bnn_tf import models
>>> model = models.build("lenet", scheme="xnor", input_shape=(8, 8, 1), classes=10)
"""

from bnn_tf.counting.macs import Macs, register_macs
from bnn_tf.counting.size import Size, model_size
from bnn_tf.models.alexnet import alexnet, alexnet_cifar, alexnet_torch
from bnn_tf.models.binarynet import binarynet
from bnn_tf.models.bireal import bireal_cifar, bireal_resnet18
from bnn_tf.models.cnn import cnn_cifar, cnn_mnist
from bnn_tf.models.faces import nnet, tronnet
from bnn_tf.models.googlenet import googlenet
from bnn_tf.models.lenet import lenet, lenet5
from bnn_tf.models.mlp import mlp_cifar, mlp_mnist
from bnn_tf.models.mobilenet import mobilenet_v2, mobilenet_v2_small
from bnn_tf.models.network import Network, Options
from bnn_tf.models.nin import nin
from bnn_tf.models.quicknet import quicknet
from bnn_tf.models.registry import Description, build, check_name, describe, list_models
from bnn_tf.models.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from bnn_tf.models.resnet_cifar import resnet14, resnet32, resnet110, resnet_cifar, resnet_wide_cifar
from bnn_tf.models.resnext import resnext50_32x4d
from bnn_tf.models.schemes import SCHEMES, Scheme
from bnn_tf.models.vgg import vgg11, vgg13, vgg16, vgg19
from bnn_tf.models.xnor_alexnet import xnor_alexnet
from bnn_tf.models.zfnet import zfnet

__all__ = [
    "SCHEMES",
    "Description",
    "Macs",
    "Network",
    "Options",
    "Scheme",
    "Size",
    "alexnet",
    "alexnet_cifar",
    "alexnet_torch",
    "binarynet",
    "bireal_cifar",
    "bireal_resnet18",
    "build",
    "check_name",
    "cnn_cifar",
    "cnn_mnist",
    "describe",
    "googlenet",
    "lenet",
    "lenet5",
    "list_models",
    "mlp_cifar",
    "mlp_mnist",
    "mobilenet_v2",
    "mobilenet_v2_small",
    "model_size",
    "nin",
    "nnet",
    "quicknet",
    "register_macs",
    "resnet14",
    "resnet18",
    "resnet32",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet110",
    "resnet152",
    "resnet_cifar",
    "resnet_wide_cifar",
    "resnext50_32x4d",
    "tronnet",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "xnor_alexnet",
    "zfnet",
]
