"""What is trained."""

from collections.abc import Iterable

from experiments.plan import Experiment, Run

_SCHEMES = ("float", "bwn", "dorefa", "xnor")
# He's way to train a residual network on CIFAR: SGD with momentum, a cosine to 0, mirrored and shifted images.
_AUGMENTED = "--schedule cosine --augment flip crop:4"
_HE = f"--weight-decay 1e-4 --optimizer nesterov {_AUGMENTED}"

# What binary kernels want instead: see "What helps binary weights".
_LATENTS = "--binary-optimizer adam --binary-learning-rate 0.002"


def _resnet(row: str, column: str, scheme: str, blocks: int, epochs: int, how: str, seed: int = 0) -> Run:
    network = f"--model resnet_cifar --scheme {scheme} --data cifar10 --blocks {blocks}"
    return Run(row, column, f"{network} --epochs {epochs} {how}", seed)


# ResNet-14 in float: for itself, to start from, and as a teacher.
_FLOAT = _resnet("float", "accuracy", "float", 2, 15, f"--learning-rate 0.1 {_HE}")
_FLOAT_FILE = f"{{{_FLOAT.name}}}/last.keras"


def _thesis() -> Experiment:
    reported = {
        "0.1": {"float": (80, 82, 84), "bwn": (77, 81, 82), "dorefa": (78, 80, 80)},
        "0.01": {"float": (78, 79, 81), "bwn": (76, 78, 80), "dorefa": (65, 67, 67)},
    }
    epochs = {"float": (15, 15, 20), "bwn": (15, 15, 20), "dorefa": (25, 40, 40)}
    runs, reference = [], {}
    for rate, schemes in reported.items():
        for index, blocks in enumerate((2, 5, 18)):
            for scheme, figures in schemes.items():
                count = 25 if (rate, scheme, blocks) == ("0.01", "dorefa", 5) else epochs[scheme][index]
                row = f"n = {blocks}, rate {rate}"
                how = f"--learning-rate {rate} {_HE}" + ("" if scheme == "float" else f" {_LATENTS}")
                runs.append(_resnet(row, scheme, scheme, blocks, count, how))
                reference[row, scheme] = figures[index]
    return Experiment(
        "The thesis's tables 4.1 and 4.2: residual networks on CIFAR-10",
        "Networks of 6n + 2 layers, batches of 128, at the thesis's epochs: float and bwn 15, 15 and 20 for n = 2, 5 "
        "and 18; dorefa 25, 40 and 40, at the rate 0.01 25, 25 and 40. SGD with Nesterov's momentum at the given rate, "
        "a cosine, mirrored and shifted images; Adam, rate 0.002, for the latent kernels of binary networks, which "
        "learn little from SGD in so few epochs. The thesis's own optimizer and schedule may have differed.",
        "network",
        tuple(runs),
        reference,
        "the thesis",
    )


def _lenet() -> Experiment:
    runs = [
        Run(data, scheme, f"--model lenet --scheme {scheme} --data {data} --epochs 20")
        for data in ("mnist", "fashion-mnist")
        for scheme in _SCHEMES
    ]
    return Experiment(
        "LeNet on MNIST and Fashion-MNIST, all schemes",
        "The tables that the thesis left empty. Adam, rate 0.001, a cosine over 20 epochs, batches of 128.",
        "data",
        tuple(runs),
    )


def _flowers() -> Experiment:
    body = "--option width=0.5"
    teacher = Run(
        "alexnet_cifar on CIFAR-100, where the next row begins",
        "float",
        f"--model alexnet_cifar --scheme float --data cifar100 {body} --epochs 10 {_AUGMENTED}",
    )
    recipe = "--batch-size 32 --epochs 40 --augment flip"
    runs = [
        Run(
            "AlexNet, 128×128",
            scheme,
            f"--model alexnet --scheme {scheme} --data flowers17 --option padding=same {recipe}",
        )
        for scheme in _SCHEMES
    ]
    small = f"--data flowers17 --data-option size=64 {body} {recipe}"
    for scheme in _SCHEMES:
        runs.append(Run("alexnet_cifar, 64×64", scheme, f"--model alexnet_cifar --scheme {scheme} {small}"))
    runs.append(teacher)
    for scheme in _SCHEMES:
        start = f"--warm-start {{{teacher.name}}}/last.keras"
        runs.append(
            Run("alexnet_cifar, 64×64, transferred", scheme, f"--model alexnet_cifar --scheme {scheme} {small} {start}")
        )
    return Experiment(
        "AlexNet on 17 flowers",
        "From scratch, and with the convolutions and the second dense layer of a network that learnt CIFAR-100 in "
        "float, whose weights become the latent ones of binary networks. 40 epochs, Adam, rate 0.001, a cosine, "
        "batches of 32, mirrored images; alexnet_cifar has half of its width.",
        "network",
        tuple(runs),
    )


# For binary inputs in few epochs: see "What helps binary inputs in few epochs".
_BIREAL = "--optimizer adam --learning-rate 0.005 --schedule cosine --augment flip --batch-size 50 --option prelu=True"


def _cure() -> Experiment:
    def run(column: str, model: str, how: str, blocks: int) -> Run:
        network = f"--model {model} --scheme xnor --data cifar10 --blocks {blocks}"
        return Run(f"n = {blocks}", column, f"{network} --epochs 15 {how}")

    ways = {
        "bireal_cifar, PReLU, small batches": ("bireal_cifar", _BIREAL),
        "bireal_cifar, Adam": ("bireal_cifar", f"--optimizer adam --learning-rate 0.002 {_AUGMENTED}"),
        "resnet_cifar, SGD": ("resnet_cifar", f"--optimizer nesterov --learning-rate 0.1 {_AUGMENTED}"),
    }
    cure, plain, collapse = ways
    wanted = {2: (cure, collapse), 3: (cure, plain, collapse), 5: (cure,)}
    runs = [run(column, *ways[column], blocks) for blocks, columns in wanted.items() for column in columns]
    return Experiment(
        "Binary weights and activations: the collapse and its cure",
        "With binary activations, the thesis's residual networks stopped learning after the first epochs. The "
        "literature advises a shortcut around every convolution, batch norm before the sign, clipped gradients and "
        "Adam: 15 epochs of each. Plain Adam has the rate 0.002, batches of 128, mirrored and shifted images; the "
        "first column a PReLU after each sum, the rate 0.005, batches of 50 and mirrored images alone.",
        "network",
        tuple(runs),
    )


def _recipe() -> Experiment:
    sgd = f"--learning-rate 0.1 {_HE}"
    adam = f"{sgd} {_LATENTS}"
    start, teacher = f"--warm-start {_FLOAT_FILE}", f"--teacher {_FLOAT_FILE}"
    ways = {
        "plain": sgd,
        "Adam, 0.002, for the latent kernels": adam,
        "that, warm start": f"{adam} {start}",
        "that, distillation": f"{adam} {teacher}",
        "that, warm start and distillation": f"{adam} {start} {teacher}",
        "Adam, 0.002, for all": f"--optimizer adam --learning-rate 0.002 {_AUGMENTED}",
    }
    runs = [_FLOAT, *(_resnet(way, "accuracy", "bwn", 2, 15, how) for way, how in ways.items())]
    runs.append(_resnet("that, warm start, under dorefa", "accuracy", "dorefa", 2, 15, f"{adam} {start}"))
    # A warm start has as many epochs behind it.
    runs.append(_resnet("Adam, 0.002, for the latent kernels, 30 epochs", "accuracy", "bwn", 2, 30, adam))
    runs.append(_resnet("float, 30 epochs", "accuracy", "float", 2, 30, sgd))
    return Experiment(
        "What helps binary weights",
        "ResNet-14 (n = 2) under bwn on CIFAR-10, 15 epochs except where a row says 30; the first row is the float "
        "network, which is also the one that others start from and learn from. Plain: SGD with Nesterov's momentum, "
        "rate 0.1, for all weights. Latent kernels are clipped to -1..1 and never decay.",
        "recipe",
        tuple(runs),
    )


def _rates() -> Experiment:
    sgd = f"--learning-rate 0.1 {_HE}"
    ways = {
        "SGD, 0.1": sgd,
        "SGD, 1": f"{sgd} --binary-learning-rate 1",
        **{f"Adam, {rate}": f"{sgd} --binary-optimizer adam --binary-learning-rate {rate}" for rate in (0.002, 0.01)},
    }
    starts = {"bwn": "", "bwn, from float": f" --warm-start {_FLOAT_FILE}"}
    return Experiment(
        "How fast should latent kernels move?",
        "ResNet-14 (n = 2) under bwn, 4 epochs on CIFAR-10 over a cosine: the optimizer and the rate of the latent "
        "kernels. All other weights have SGD with Nesterov's momentum, rate 0.1. From random weights, and from those "
        "of the float network above.",
        "latent kernels",
        tuple(
            _resnet(way, column, "bwn", 2, 4, f"{how}{start}")
            for way, how in ways.items()
            for column, start in starts.items()
        ),
    )


def _inputs() -> Experiment:
    network = "--model bireal_cifar --scheme xnor --data cifar10 --blocks 3 --epochs 4"
    adam, flip, small = "--optimizer adam --learning-rate", "--schedule cosine --augment flip", "--batch-size 50"
    ways = {
        "plain": f"{adam} 0.002 {_AUGMENTED}",
        "batches of 50, no shifts": f"{adam} 0.002 {flip} {small}",
        "that, rate 0.005": f"{adam} 0.005 {flip} {small}",
        "that, PReLU": _BIREAL,
    }
    return Experiment(
        "What helps binary inputs in few epochs",
        "bireal_cifar (n = 3) under xnor on CIFAR-10, 4 epochs. Plain: Adam, rate 0.002, over a cosine, batches of "
        "128, mirrored and shifted images. PReLU: after each sum, a slope for each feature map.",
        "recipe",
        tuple(Run(way, "accuracy", f"{network} {how}") for way, how in ways.items()),
    )


def _width() -> Experiment:
    widths = (1, 1.5, 2, 3)

    def runs(row: str, model: str, data: str, how: str, latents: str = "") -> list[Run]:
        def run(scheme: str, width: float) -> Run:
            network = f"--model {model} --scheme {scheme} --data {data} --option width={width:g}"
            arguments = f"{network} {how} {latents if scheme != 'float' else ''}".strip()
            return Run(f"{row}, ×{width:g}", scheme, arguments)

        return [run("float", 1), *(run(scheme, width) for width in widths for scheme in _SCHEMES[1:])]

    return Experiment(
        "How wide must a binary network be?",
        "`width` multiplies the feature maps; float is the network at width 1. 2 epochs each. LeNet: Adam, "
        "rate 0.001; ResNet-14: SGD, rate 0.1, with Adam for the latent kernels, as above.",
        "network",
        (
            *runs("LeNet, MNIST", "lenet", "mnist", "--epochs 2"),
            *runs("LeNet, Fashion-MNIST", "lenet", "fashion-mnist", "--epochs 2"),
            *runs(
                "ResNet-14, CIFAR-10",
                "resnet_cifar",
                "cifar10",
                f"--blocks 2 --epochs 2 --learning-rate 0.1 {_HE}",
                _LATENTS,
            ),
        ),
        costs=True,
    )


# The widths at which each takes about 26 million multiply-accumulates for an image, as resnet_cifar (n = 2) does.
_ALIKE = {
    "resnet_cifar": 1,
    "cnn_cifar": 1.6,
    "bireal_cifar": 0.8,
    "googlenet": 0.9,
    "vgg11": 0.39,
    "alexnet_cifar": 0.35,
    "nin": 0.33,
    "mobilenet_v2_small": 0.66,
}


def _alike(name: str, column: str, scheme: str, option: str = "", called: str = "") -> Run:
    network = f"--model {name} --scheme {scheme} --data cifar10 --option width={_ALIKE[name]:g} {option}".rstrip()
    how = f"--epochs 2 --learning-rate 0.002 {_AUGMENTED}"
    return Run(f"{called or name}, ×{_ALIKE[name]:g}", column, f"{network} {how}")


def _topology() -> Experiment:
    runs = [_alike(name, scheme, scheme) for name in _ALIKE for scheme in ("float", "bwn", "xnor")]
    # The binary forms of vgg11 have batch norms anyway.
    runs.append(_alike("vgg11", "float", "float", "--option batch_norm=True", "vgg11 with batch norms"))
    return Experiment(
        "Which topology loses least?",
        "CIFAR-10, each network at the width (×) with which it takes about 26 million multiply-accumulates an image, "
        "2 epochs for each: Adam, rate 0.002, a cosine, mirrored and shifted images. As short as that, it says who "
        "learns fast, not who ends best.",
        "network",
        tuple(runs),
        costs=True,
    )


def _dropout() -> Experiment:
    rates = {"nothing dropped": "", "half dropped": "--option dropout=0.5"}
    return Experiment(
        "What does a dropout before the sign do?",
        "Networks that drop half of some features in their float forms, under xnor, trained as above. With nothing "
        "dropped they are those of the table above.",
        "network",
        tuple(
            _alike(name, column, "xnor", option)
            for name in ("alexnet_cifar", "nin")
            for column, option in rates.items()
        ),
    )


def _means() -> Experiment:
    ways = {
        "as it is": "",
        "sign: identity": "--option input_ste=identity",
        "sign: clip": "--option input_ste=clip",
        "sign: ApproxSign": "--option input_ste=approx_sign",
        "sign: SwishSign": "--option input_ste=swish_sign",
        "sign: EDE": "--option input_ste=ede",
        "sign: ReSTE": "--option input_ste=reste",
        "SGD, rate 0.05": "--optimizer nesterov --learning-rate 0.05",
        "Adadelta": "--optimizer adadelta --learning-rate 1",
        "Bop": "--binary-optimizer bop",
        "without alpha": "--option scaling=none",
        "without K": "--option input_scaling=False",
        "with K": "--option input_scaling=True",
    }
    networks = {  # with the ways that they have as they are
        "LeNet, MNIST": ("--model lenet --scheme xnor --data mnist --epochs 1", ("sign: clip", "with K")),
        "bireal_cifar n = 3, CIFAR-10": (
            "--model bireal_cifar --scheme xnor --data cifar10 --blocks 3 --epochs 1 --batch-size 50 --augment flip",
            ("sign: ApproxSign", "without K"),
        ),
    }
    runs = [
        Run(way, column, network if way in own else f"{network} {how}".strip(), seed)
        for column, (network, own) in networks.items()
        for seed in range(3)
        for way, how in ways.items()
    ]
    return Experiment(
        "Which pseudo-gradient, optimizer and scale?",
        "Binary weights and activations, one thing changed at a time: Adam, rate 0.001, a cosine over one "
        "epoch. As it is, LeNet has the clipped gradient, alpha and K; bireal_cifar has ApproxSign, the "
        "magnitude-aware gradient, alpha and no K. SGD has Nesterov's momentum, Adadelta the rate 1; Bop moves the "
        "binary kernels alone.",
        "change",
        tuple(runs),
    )


def _long() -> Experiment:
    runs = []
    for count in (4, 15, 30):
        row = f"{count} epochs"
        sgd = f"--learning-rate 0.1 {_HE}"
        teacher = _resnet(row, "float", "float", 3, count, sgd)
        start = f"--warm-start {{{teacher.name}}}/last.keras"
        runs += [teacher, _resnet(row, "bwn", "bwn", 3, count, f"{sgd} {_LATENTS} {start}")]
        network = f"--model bireal_cifar --scheme xnor --data cifar10 --blocks 3 --epochs {count}"
        runs.append(Run(row, "xnor", f"{network} {_BIREAL}"))
    return Experiment(
        "More epochs",
        "ResNet-20 (n = 3) on CIFAR-10 with the best recipe of each, over a cosine of its own length. xnor: "
        "bireal_cifar with a PReLU after each sum, Adam, rate 0.005, batches of 50, mirrored images. float: "
        "resnet_cifar with SGD, rate 0.1, mirrored and shifted images. bwn: the same from the weights of the float "
        "network of as many epochs, with Adam, rate 0.002, for the latent kernels.",
        "length",
        tuple(runs),
    )


EXPERIMENTS: dict[str, Experiment] = {
    "thesis": _thesis(),
    "lenet": _lenet(),
    "flowers": _flowers(),
    "cure": _cure(),
    "recipe": _recipe(),
    "rates": _rates(),
    "inputs": _inputs(),
    "width": _width(),
    "topology": _topology(),
    "dropout": _dropout(),
    "means": _means(),
    "long": _long(),
}
RUNS: dict[str, Run] = {run.name: run for experiment in EXPERIMENTS.values() for run in experiment.runs}


def choose(names: Iterable[str]) -> dict[str, Experiment]:
    """The experiments of these names, all where there are none.

    Raises:
        KeyError: for an unknown name.
    """
    return {name: EXPERIMENTS[name] for name in names} or dict(EXPERIMENTS)
