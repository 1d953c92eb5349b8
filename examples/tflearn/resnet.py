"""The residual networks for CIFAR-10 of 6n + 2 layers, in float or binary:

python examples/tflearn/resnet.py --scheme bwn --blocks 2 --data cifar10 --epochs 15
"""

from common import options, train

from bnn_tf.frontends.tflearn import binary_residual_block, tflearn
from bnn_tf.models import SCHEMES


def resnet(x, scheme, classes, blocks=2, width=1.0):
    """A convolution, `blocks` residual blocks each of 16, 32 and 64 maps, global average pooling; to logits."""
    chosen = SCHEMES[scheme]

    def stage(x, count, maps, **options):
        if not chosen.binary_weights:
            return tflearn.residual_block(x, count, maps, **options)
        options |= {"scaling": chosen.scaling, "binary_input": chosen.binary_input}
        return binary_residual_block(x, count, maps, regularizer=None, **options)

    # TFLearn widens shortcuts by as many maps on both sides: an even number of them.
    small, middle, large = (2 * max(1, round(count * width / 2)) for count in (16, 32, 64))
    x = tflearn.conv_2d(x, small, 3, regularizer="L2", weight_decay=0.0001, weights_init="xavier", scope="conv1")
    x = stage(x, blocks, small)
    for maps in (middle, large):
        x = stage(x, 1, maps, downsample=True)
        x = stage(x, blocks - 1, maps)
    x = tflearn.activation(tflearn.batch_normalization(x), "relu")
    return tflearn.fully_connected(tflearn.global_avg_pool(x), classes, weights_init="xavier", scope="logits")


if __name__ == "__main__":
    parser = options("Trains a residual network in TFLearn.", data_set="cifar10", epochs=15)
    parser.add_argument("--blocks", type=int, default=2, help="n: 2, 5 and 18 make 14, 32 and 110 layers")
    parser.add_argument("--learning-rate", type=float, default=0.1)
    chosen = parser.parse_args()
    train(
        lambda x, images: resnet(x, chosen.scheme, images.classes, chosen.blocks, chosen.width),
        tflearn.Momentum(chosen.learning_rate, lr_decay=0.1, decay_step=32000, staircase=True),
        chosen,
    )
