"""Training over devices and processes: the weights of one process, each image once, nobody waits for ever.

The processes are real ones that talk over the loopback device; distributed_case.py is what they run.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from itertools import chain

import distributed_case as case
import numpy as np
import pytest
from conftest import CHOICES, PACKAGE, ROOT

from bnn_tf import data, training
from bnn_tf.training.batches import EvaluationBatches, TrainingBatches
from bnn_tf.training.distributed_cluster import Cluster, cluster

# The sums of the replicas add the same float32 numbers in another order; weights are below 1, steps a dozen.
ROUNDING = 1e-6
SECONDS = 120


def configs(count):
    """TF_CONFIG of each process of a cluster on free ports."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    return [
        json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
        for index in range(count)
    ]


@contextlib.contextmanager
def processes(commands, tf_configs, folder, **environment):
    """Starts a process for each command; on leaving, none is left. What they print goes to folder/INDEX.out, .err."""
    env = {name: value for name, value in os.environ.items() if name not in CHOICES}
    env |= {"PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), str(ROOT / "tests")]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    env |= {"BNN_TF_WORKER_TIMEOUT": str(SECONDS)} | environment
    started = []
    try:
        for index, (command, tf_config) in enumerate(zip(commands, tf_configs, strict=True)):
            with open(folder / f"{index}.out", "w") as out, open(folder / f"{index}.err", "w") as err:
                options = {"stdout": out, "stderr": err, "env": env | {"TF_CONFIG": tf_config}}
                started.append(subprocess.Popen([sys.executable, "-P", *map(str, command)], **options))
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def case_commands(folder, *options):
    """The command of the case for each of `options`."""
    return [[case.__file__, json.dumps({"folder": str(folder), **each})] for each in options]


def printed_in(folder, index):
    """What a process of `processes` has printed."""
    return "".join((folder / f"{index}.{stream}").read_text() for stream in ("out", "err"))


def run_case(folder, *options, **environment):
    """Runs the case in a process for each of `options`; returns the exit codes, and what each printed."""
    folder.mkdir()
    with processes(case_commands(folder, *options), configs(len(options)), folder, **environment) as started:
        codes = [process.wait(SECONDS) for process in started]
    return codes, [printed_in(folder, index) for index in range(len(options))]


def epochs_of(printed):
    """The numbers of the epochs that progress lines tell of."""
    return [int(line.split()[2].split("/")[0]) for line in printed.splitlines() if line.startswith("case epoch")]


def left_by(folder, rank):
    """Weights, history and the indices of the images asked for, as a process left them."""
    with np.load(folder / f"{rank}.npz") as file:
        weights = [file[f"weight{index}"] for index in range(len(file.files) - 2)]
        return weights, json.loads(str(file["history"])), json.loads(str(file["seen"]))


def assert_equal_weights(weights, others, tolerance):
    for index, (one, other) in enumerate(zip(weights, others, strict=True)):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance, err_msg=f"weight {index}")


@pytest.fixture(scope="module")
def alone():
    """The case in one process: weights and history."""
    model = case.network()
    result = training.train(model, case.dataset(), training.Recipe(**case.RECIPE))
    return model.get_weights(), result.history


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The case in two processes: their folder, the run folder, and what each printed."""
    parent = tmp_path_factory.mktemp("two")
    codes, printed = run_case(parent / "left", {"out": str(parent / "run")}, {"out": str(parent / "other")})
    assert codes == [0, 0], printed
    return parent / "left", parent / "run", printed


class TestTwoProcesses:
    def test_the_weights_are_those_of_one(self, alone, two):
        weights, history = alone
        start = case.network().get_weights()
        assert max(np.abs(new - old).max() for new, old in zip(weights, start, strict=True)) > 0.01
        found, figures, _ = left_by(two[0], 0)
        assert_equal_weights(found, weights, ROUNDING)
        assert set(figures) == set(history)
        for name, values in history.items():
            np.testing.assert_allclose(figures[name], values, rtol=1e-5, err_msg=name)

    def test_both_have_the_same(self, two):
        (weights, history, _), (others, others_history, _) = left_by(two[0], 0), left_by(two[0], 1)
        assert_equal_weights(weights, others, 0)
        assert history == others_history

    def test_each_image_once_an_epoch_in_the_order_of_one(self, two):
        shares = [left_by(two[0], rank)[2] for rank in (0, 1)]
        steps = -(-case.IMAGES // case.BATCH)
        # The first share was asked for twice: once for its dtypes.
        first, second = (share[1:] for share in shares)
        assert len(first) == len(second) == case.EPOCHS * steps
        images = case.dataset()
        orders = set()
        for epoch in range(case.EPOCHS):
            ours, theirs = (share[epoch * steps : (epoch + 1) * steps] for share in (first, second))
            assert sorted(chain.from_iterable([*ours, *theirs])) == list(range(case.IMAGES))
            whole = TrainingBatches(images, case.BATCH)
            whole.start(epoch)
            for step in range(steps):
                indices = whole._batches.indices(step).tolist()
                assert (ours[step], theirs[step]) == (indices[::2], indices[1::2])
            orders.add(str(ours))
        assert len(orders) == case.EPOCHS

    def test_only_the_chief_writes_and_prints(self, two):
        _, run, (chiefs, others) = two
        assert {"config.json", "last.keras", "best.keras", "metrics.csv"} <= {path.name for path in run.iterdir()}
        assert not (run.parent / "other").exists()
        assert chiefs.count("case epoch") == case.EPOCHS and "case epoch" not in others

    def test_a_killed_worker_is_noticed_and_all_resume(self, two, tmp_path):
        fate = {"epoch": 1, "step": 1, "signal": "SIGKILL"}
        chief = {"out": str(tmp_path / "run"), "resume": True}
        codes, printed = run_case(tmp_path / "killed", chief, {"fate": fate})
        assert codes == [3, -signal.SIGKILL], printed
        assert "Another worker is gone or doesn't answer" in printed[0]
        assert "Start all workers again with resume (--resume)" in printed[0]
        assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 2  # the header, the first epoch
        # The run folder is the chief's alone: the other worker gets the state from it.
        codes, printed = run_case(tmp_path / "resumed", chief, {})
        assert codes == [0, 0], printed
        assert epochs_of(printed[0]) == [2, 3]
        weights, history, _ = left_by(two[0], 0)
        for rank in (0, 1):
            resumed, resumed_history, _ = left_by(tmp_path / "resumed", rank)
            assert_equal_weights(resumed, weights, 0)
            assert resumed_history == history

    def test_a_silent_worker_is_noticed(self, tmp_path):
        fate = {"epoch": 1, "step": 1, "signal": "SIGSTOP"}
        with processes(case_commands(tmp_path, {"patience": 10}, {"fate": fate}), configs(2), tmp_path) as started:
            chief, stopped = started
            assert chief.wait(SECONDS) == 3, printed_in(tmp_path, 0)
            assert stopped.poll() is None
        assert "Another worker is gone or doesn't answer" in printed_in(tmp_path, 0)

    def test_nobody_waits_for_ever_for_one_that_does_not_come(self, tmp_path):
        command = ["-m", "bnn_tf.cli", "train", "--distribute", "multiworker", "--out", tmp_path / "run"]
        (own, _) = configs(2)
        with processes([command], [own], tmp_path, BNN_TF_WORKER_TIMEOUT="2") as (process,):
            assert process.wait(SECONDS) == training.WorkerLostError.exit_code
        addresses = ", ".join(json.loads(own)["cluster"]["worker"])
        assert f"error: Not all of {addresses} came within 2 seconds. Start" in printed_in(tmp_path, 0)
        assert not (tmp_path / "run").exists()

    def test_the_command_line(self, tmp_path):
        command = [
            "-m",
            "bnn_tf.cli",
            "train",
            "--distribute",
            "multiworker",
            "--scheme",
            "bwn",
            "--option",
            "width=0.25",
        ]
        command += ["--epochs", "1", "--batch-size", "256", "--out", tmp_path / "run"]
        with processes([command, command], configs(2), tmp_path) as started:
            assert [process.wait(SECONDS) for process in started] == [0, 0], printed_in(tmp_path, 0)
        assert "test accuracy" in (tmp_path / "0.out").read_text()
        assert (tmp_path / "1.out").read_text() == ""
        assert (tmp_path / "run" / "last.keras").exists()


DEVICES = """
import distributed_case as case
import keras
import numpy as np
import tensorflow as tf
from bnn_tf import data, training

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
"""


class TestDevices:
    def test_the_weights_are_those_of_one(self, run_python):
        """On three devices, which get 6, 5, 5 and 1, 1, 1 images, with each kind of optimizer and of precision."""
        printed = run_python(
            DEVICES
            + """
DATA = case.dataset()

def trained(distribute, normalised=False, policy="float32", **recipe):
    with training.precision(policy):
        model = case.network(normalised)
    recipe = training.Recipe(**case.RECIPE | recipe)
    training.train(model, DATA, recipe, distribute=distribute)
    return model

def difference(**options):
    one, three = trained(None, **options), trained("mirrored", **options)
    return max(np.abs(a - b).max() for a, b in zip(one.get_weights(), three.get_weights(), strict=True))

assert training.join("mirrored").replicas == 3
print(difference())
print(difference(epochs=2, binary_optimizer="bop", bop_threshold=1e-3, class_weights=None, label_smoothing=0.0))
print(difference(batch_size=17 * 3, normalised="synchronized"))
print(difference(policy="mixed_bfloat16"))
print(difference(policy="mixed_float16"))
"""
        )
        plain, bop, normalised, bfloat16, float16 = map(float, printed.split())
        assert plain < ROUNDING and bop < ROUNDING
        # The variance is a difference of means of squares there, and 16 bits are 8 or 11 of precision.
        assert normalised < 1e-5 and bfloat16 < 2e-2 and float16 < 2e-3

    def test_batch_normalisation_and_dropout(self, run_python):
        printed = run_python(
            DEVICES
            + """
def one_step(model, images):
    model.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    labels = np.zeros(len(images), np.int64)
    tiny = data.Dataset("tiny", images, labels, images, labels, ("a", "b"))
    recipe = training.Recipe(1, len(images), 1.0, optimizer="sgd", schedule="constant")
    training.train(model, tiny, recipe, distribute="mirrored")

# Each replica its own mask: of the inputs of a dense layer, some have had their weights moved by one replica only.
x = keras.Input((1, 1, 64))
dropped = keras.layers.Dropout(0.5, seed=1)
model = keras.Model(x, keras.layers.Dense(2, kernel_initializer="zeros")(dropped(keras.layers.Flatten()(x))))
images = np.repeat(np.arange(64, dtype=np.uint8).reshape(1, 1, 1, 64), 3, axis=0)
images[0] += 1
one_step(model, images)
moved = np.abs(model.get_weights()[0][:, 0])
print(len(set(np.round(moved / moved[moved > 0].min()).astype(int).tolist())))
print(*dropped.seed_generator.state.numpy())

# The moving statistics are the means of those that each replica would have.
x = keras.Input((1, 1, 1))
norm = keras.layers.BatchNormalization(momentum=0.0)
model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(norm(x))))
images = np.array([0, 10, 20, 30, 40, 60], np.uint8).reshape(6, 1, 1, 1)
one_step(model, images)
tiny = data.Dataset("tiny", images, np.zeros(6, np.int64), images, np.zeros(6, np.int64), ("a", "b"))
shares = [tiny.batches("train", 6, shard=(replica, 3))[0][0] for replica in range(3)]
print(norm.moving_mean.numpy()[0] - np.mean([share.mean() for share in shares]))
print(norm.moving_variance.numpy()[0] - np.mean([share.var() for share in shares]))
"""
        )
        values, seed, counter, mean, variance = printed.split()
        assert int(values) > 2
        assert (seed, counter) == ("1", "1")  # as in one process: nothing of the replicas is left in the model
        assert abs(float(mean)) < 1e-6 and abs(float(variance)) < 1e-6


def test_more_replicas_than_images_in_the_last_batch():
    with pytest.raises(ValueError, match="The last batch has 1 of 51 images, and 3 shards have to share it"):
        TrainingBatches(case.dataset(), 50).share(0, 3)


def test_the_test_set_is_shared_whatever_its_size():
    """513 images are a batch of 512 and one of 1, which three replicas couldn't share."""
    x, y = np.arange(513, dtype=np.uint16).astype(np.uint8).reshape(-1, 1, 1, 1), np.arange(513)
    whole = data.Dataset("many", x, y % 2, x, y, tuple(map(str, range(513))))
    shares = [EvaluationBatches(whole).share(replica, 3) for replica in range(3)]
    assert len({len(share) for share in shares}) == 1
    labels = [share[step][1].tolist() for share in shares for step in range(len(share))]
    assert all(labels) and sorted(chain.from_iterable(labels)) == y.tolist()


class TestErrors:
    def test_a_worker_with_other_arguments(self):
        workers = training.join("mirrored")
        chiefs = {"config": {"recipe": {"epochs": 3}, "environment": {"cpus": 2}}, "shapes": [[[2], "float32"]]}
        for other, difference in (
            ({"config": {"recipe": {"epochs": 5}, "environment": {}}}, "recipe.epochs is 3 there and 5 here"),
            ({"shapes": [[[3], "float32"]]}, "the models have other weights"),
        ):
            with pytest.raises(ValueError, match=f"trains something else than the chief: {difference}"):
                workers._check(chiefs, chiefs | other)
        workers._check(chiefs, chiefs | {"config": {"recipe": {"epochs": 3}, "environment": {"cpus": 4}}})

    def test_another_backend(self, run_python):
        pytest.importorskip("jax")
        run_python(
            """
import distributed_case as case
from bnn_tf import training
for kind in ("mirrored", "multiworker"):
    try:
        training.train(case.network(), case.dataset(), distribute=kind)
    except ValueError as error:
        expected = f"distribute='{kind}' is tf.distribute, and needs Keras' TensorFlow backend. Got KERAS_BACKEND=jax"
        assert expected in str(error), error
    else:
        raise AssertionError
""",
            KERAS_BACKEND="jax",
        )

    def test_too_late(self, monkeypatch):
        case.network()
        monkeypatch.setenv("TF_CONFIG", configs(1)[0])
        with pytest.raises(ValueError, match=r"TensorFlow has computed something already. Call bnn_tf.training.join"):
            training.train(case.network(), case.dataset(), distribute="multiworker")

    def test_a_port_in_use(self, monkeypatch):
        (config,) = configs(1)
        (address,) = json.loads(config)["cluster"]["worker"]
        monkeypatch.setenv("TF_CONFIG", config)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", int(address.rpartition(":")[2])))
            taken.listen()
            with pytest.raises(ValueError, match=f"can't listen at {address}: Address already in use. Choose another"):
                training.join("multiworker")

    def test_an_unknown_kind(self):
        with pytest.raises(ValueError, match=r"Unknown way to distribute 'multiworkers'. Did you mean multiworker"):
            training.join("multiworkers")

    @pytest.mark.parametrize("text", ["soon", "0", "-1", "nan"])
    def test_a_time_limit_that_is_none(self, monkeypatch, text):
        monkeypatch.setenv("TF_CONFIG", configs(1)[0])
        monkeypatch.setenv("BNN_TF_WORKER_TIMEOUT", text)
        with pytest.raises(ValueError, match=f"must be a number of seconds above 0. Got '{text}'"):
            training.join("multiworker")


def tf_config(cluster=None, **task):
    return json.dumps({"cluster": cluster or {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0} | task})


class TestCluster:
    def test_workers(self):
        assert cluster({"TF_CONFIG": tf_config(index=1)}) == Cluster(("a:1", "b:2"), 1)

    def test_a_chief_comes_first(self):
        jobs = {"worker": ["a:1", "[::1]:2"], "chief": ["c:3"]}
        everyone = ("c:3", "a:1", "[::1]:2")
        assert cluster({"TF_CONFIG": tf_config(jobs, type="chief")}) == Cluster(everyone, 0)
        assert cluster({"TF_CONFIG": tf_config(jobs, index=1)}) == Cluster(everyone, 2)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, "isn't set: it says which processes train together"),
            ("", "isn't set"),
            ("{'cluster': 1}", "is no JSON"),
            ("[]", 'has no object "cluster"'),
            ('{"cluster": {"worker": ["a:1"]}}', 'has no object "task"'),
            (tf_config({"worker": []}, index=0), "has no worker in its cluster"),
            (tf_config({"worker": "a:1"}), 'must have a list of addresses for "worker"'),
            (tf_config({"worker": ["a"]}), 'has the address "a": expected "host:port"'),
            (tf_config({"worker": ["a:0"]}), 'has the address "a:0"'),
            (tf_config({"worker": ["a:70000"]}), 'has the address "a:70000"'),
            (tf_config({"worker": [1]}), "has the address 1"),
            (tf_config({"worker": ["a:1", "a:1"]}), "has a:1 twice"),
            (tf_config({"worker": ["a:1"], "ps": ["b:2"]}), 'has the job "ps" in its cluster'),
            (tf_config({"worker": ["a:1"], "chief": ["b:2", "c:3"]}), "has 2 chiefs"),
            (tf_config(type="chief"), 'has the task type "chief": its cluster has "worker"'),
            (tf_config(type=["worker"]), 'has the task type ["worker"]'),
            (tf_config(index=2), "has the task index 2: expected 0..1, for the 2 of its cluster"),
            (tf_config(index="0"), 'has the task index "0"'),
            (tf_config(index=True), "has the task index true"),
        ],
    )
    def test_what_is_wrong_is_said_with_an_example(self, text, message):
        with pytest.raises(ValueError, match="TF_CONFIG") as error:
            cluster({} if text is None else {"TF_CONFIG": text})
        assert message in str(error.value)
        assert '"worker": ["10.0.0.1:12345", "10.0.0.2:12345"]}, "task": {"type": "worker", "index": 0}}' in str(
            error.value
        )
