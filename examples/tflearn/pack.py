"""Carries a LeNet that lenet.py has trained to Keras, packs it, and compares all three on the test images:

python examples/tflearn/pack.py runs/lenet --scheme bwn --data mnist

TFLearn isn't needed, and not imported: its logits were left by lenet.py.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

import bnn_tf
from bnn_tf.frontends import checkpoints
from bnn_tf.runtime import PackedModel


def main():
    """Runs the script; returns how many test images the packed network sees otherwise than TFLearn did."""
    parser = argparse.ArgumentParser(description="Packs a LeNet trained in TFLearn.")
    parser.add_argument("run", type=Path, help="the folder that lenet.py wrote")
    parser.add_argument("--scheme", default="bwn")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--data-dir")
    parser.add_argument("--images", type=int, help="compare on so many test images alone")
    parser.add_argument("--width", type=float, default=1.0)
    chosen = parser.parse_args()

    data = bnn_tf.data.load(chosen.data, chosen.data_dir)
    model = bnn_tf.models.lenet(chosen.scheme, input_shape=data.input_shape, classes=data.classes, width=chosen.width)
    print(checkpoints.to_keras(chosen.run / "model", model))
    packed_file = chosen.run / "lenet.bnn"
    bnn_tf.pack(model, packed_file)

    images = data.normalize(data.x_test[: chosen.images])
    tflearn = np.load(chosen.run / "logits.npy").argmax(axis=1)
    keras = model.predict(images, batch_size=512, verbose=0).argmax(axis=1)
    packed = PackedModel(packed_file).predict(images).argmax(axis=1)
    found = {
        "images": len(images),
        "tflearn_accuracy": float((tflearn == data.y_test[: chosen.images]).mean()),
        "packed_bytes": packed_file.stat().st_size,
        "keras_differs": int((keras != tflearn).sum()),
        "packed_differs": int((packed != tflearn).sum()),
    }
    print(json.dumps(found))
    return found["packed_differs"]


if __name__ == "__main__":
    sys.exit(bool(main()))
