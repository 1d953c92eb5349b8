"""LeNet in TFLearn, in float or binary:

python examples/tflearn/lenet.py --scheme bwn --data mnist --epochs 3 --out runs/lenet
python examples/tflearn/pack.py runs/lenet --data mnist      # the same network in Keras, packed: one bit a weight
"""

from common import options, train

from bnn_tf.frontends.tflearn import lenet, tflearn

if __name__ == "__main__":
    chosen = options("Trains LeNet in TFLearn.", data_set="mnist", epochs=3).parse_args()
    train(
        lambda x, images: lenet(x, chosen.scheme, images.classes, width=chosen.width),
        tflearn.Adam(learning_rate=0.001),
        chosen,
    )
