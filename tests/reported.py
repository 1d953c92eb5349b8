"""Runs to report on."""

import keras

from bnn_tf import layers, training

EVIL = '<script>document.title = "evil"</script><img src=x onerror="document.title=1">$a$'


def network(seed=0):
    """A float convolution, one of bits, and a float layer behind them."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.GlorotUniform(seed), name="conv1"),
            layers.BinaryConv2D(6, 3, name="conv2"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(10, name="logits"),
        ],
        name="net",
    )


def make_trainings(folder, digits):
    """Two trainings in folders `short` and `long`; the network of the second one bears a name that is a script."""
    for name, epochs in (("short", 1), ("long", 2)):
        description = {"model": EVIL if name == "long" else "net", "scheme": "bwn", "command": f"bnn-tf train {name}"}
        model = network()
        recipe = training.Recipe(epochs=epochs, batch_size=40)
        training.train(model, digits, recipe, out=folder / name, description=description)
