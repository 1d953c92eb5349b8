"""AlexNet as TFLearn's own example has it, in float or binary, on seventeen kinds of flowers:

python examples/tflearn/alexnet.py --scheme xnor --data flowers17 --epochs 100
"""

from common import options, train

from bnn_tf.frontends.tflearn import tflearn
from bnn_tf.frontends.tflearn_networks import conv_block, dense_block
from bnn_tf.models import SCHEMES


def alexnet(x, scheme, classes, width=1.0):
    """Five convolutions, three poolings with local response normalisation, two dense layers of 4096; to logits."""
    inner, plain = SCHEMES[scheme], SCHEMES["float"]

    def maps(count):
        return max(1, round(count * width))

    def pool(x):
        return tflearn.local_response_normalization(tflearn.max_pool_2d(x, 3, strides=2))

    x = pool(conv_block(x, plain, maps(96), 11, strides=4, scope="conv1"))
    x = pool(conv_block(x, inner, maps(256), 5, scope="conv2"))
    x = conv_block(x, inner, maps(384), 3, scope="conv3")
    x = conv_block(x, inner, maps(384), 3, scope="conv4")
    x = pool(conv_block(x, inner, maps(256), 3, scope="conv5"))
    x = tflearn.dropout(dense_block(tflearn.flatten(x), inner, maps(4096), scope="fc6"), 0.5)
    x = tflearn.dropout(dense_block(x, inner, maps(4096), scope="fc7"), 0.5)
    return tflearn.fully_connected(x, classes, weights_init="xavier", scope="logits")


if __name__ == "__main__":
    chosen = options("Trains AlexNet in TFLearn.", data_set="flowers17", epochs=100, batch_size=64).parse_args()
    train(
        lambda x, images: alexnet(x, chosen.scheme, images.classes, chosen.width),
        tflearn.Momentum(learning_rate=0.001),
        chosen,
    )
