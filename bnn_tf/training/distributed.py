"""Training on several devices, processes or machines at once, synchronously: `tf.distribute` carries the gradients.

"mirrored" has a replica on each GPU of this process (on each logical CPU device where there is none), "multiworker" in
each process that TF_CONFIG names, on each GPU of it. docs/distributed.md tells how to start them.
"""

import importlib
import json
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bnn_tf.errors import ArgumentError, UserError, unknown_name
from bnn_tf.training.distributed_cluster import Cluster, cluster
from bnn_tf.training.training_folder import State, differing

MIRRORED, MULTIWORKER = "mirrored", "multiworker"
KINDS = (MIRRORED, MULTIWORKER)
LIMIT = "BNN_TF_WORKER_TIMEOUT"
_SECONDS = 600
_HEALTH_CHECK_SECONDS = 15

_joined: dict[str, "Workers"] = {}


class WorkerLostError(UserError, RuntimeError):
    """Another process of the training is gone, or doesn't answer; what the run folder holds is whole."""

    exit_code = 75  # "try again": a mistake in the arguments has another one, so that a loop knows when to end


class Workers:
    """The replicas that train together, seen from one process.

    Args:
        strategy: a `tf.distribute.Strategy`.
        options: a `tf.distribute.experimental.CommunicationOptions`.
        cluster: the processes; None for this one alone.

    Attributes:
        strategy, options: as given.
        chief: whether this process writes and prints.
        replicas: how many there are in all processes.
        own: the numbers of those in this process.
    """

    def __init__(self, strategy: Any, options: Any, cluster: Cluster | None = None):
        self.strategy, self.options = strategy, options
        self.chief = cluster is None or cluster.rank == 0
        self.replicas: int = strategy.num_replicas_in_sync
        self.own: list[int] = []
        strategy.experimental_distribute_values_from_function(self._note)
        self._total = _total(strategy, options, self.own[0])

    def begin(self, model: keras.Model, state: State, config: Mapping[str, Any]) -> State:
        """Gives every process the chief's weights, optimizer and seeds; the folder is needed by the chief alone.

        Args:
            model: a compiled model, whose optimizer is built.
            state: where the training stands; the chief's counts.
            config: what the training is, as `config.json` says it; it must be the same in all processes.

        Returns:
            The chief's state.

        Raises:
            ArgumentError: a ValueError that says in what this process' training differs from the chief's.
            WorkerLostError: a RuntimeError, where a process is gone.
        """
        variables = [*model.variables, *model.optimizer.variables]
        shapes = [[list(variable.shape), str(variable.dtype)] for variable in variables]
        own = json.loads(json.dumps({"state": state.__dict__, "config": config, "shapes": shapes}))
        with lost_workers():
            chiefs = json.loads(self._from_chief(json.dumps(own).encode()))
            self._check(chiefs, own)
            for variable in variables:
                value = np.asarray(variable.value)
                variable.assign(np.frombuffer(self._from_chief(value.tobytes()), value.dtype).reshape(value.shape))
        return State(**chiefs["state"])

    def wait(self) -> None:
        """Returns when all processes have come here.

        Raises:
            WorkerLostError: a RuntimeError, where a process is gone.
        """
        with lost_workers():
            self._sum(np.zeros(1, np.int32))

    def _note(self, context: Any) -> Any:
        import tensorflow as tf

        self.own.append(int(context.replica_id_in_sync_group))
        return tf.constant(0)

    def _check(self, chiefs: dict[str, Any], own: dict[str, Any]) -> None:
        differences = differing(chiefs["config"], own["config"])
        if not differences and chiefs["shapes"] != own["shapes"]:
            differences = ["the models have other weights"]
        if differences:
            raise ArgumentError(
                f"This worker trains something else than the chief: {'; '.join(differences)} (there: the chief). Start "
                "all workers with the same arguments and the same data."
            )

    def _from_chief(self, data: bytes) -> bytes:
        """What the chief gives, everywhere. As integers, whose sum with zeros is exact."""
        length = int(self._sum(np.array([len(data) if self.chief else 0], np.int32))[0])
        words = np.zeros(-(-length // 4), np.int32)
        if self.chief:
            words = np.frombuffer(data.ljust(4 * len(words), b"\0"), np.int32)
        return self._sum(words).tobytes()[:length] if length else b""

    def _sum(self, value: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The sum over the processes."""
        return self._total(value).numpy()


def _total(strategy: Any, options: Any, first: int) -> Any:
    """A compiled sum of int32 vectors over processes; in each, the replica `first` gives the value."""
    import tensorflow as tf

    def replica(value: Any) -> Any:
        context = tf.distribute.get_replica_context()
        gives = tf.cast(tf.equal(context.replica_id_in_sync_group, first), tf.int32)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, gives * value, options=options)

    def total(value: Any) -> Any:
        return strategy.experimental_local_results(strategy.run(replica, args=(value,)))[0]

    return tf.function(total, input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False)


def join(kind: str) -> Workers:
    """Makes this process one of those that train together; the first thing that a program does with TensorFlow.

    `train(..., distribute=kind)` does so, too; for "multiworker" that is too late, since by then there is a model.

    Args:
        kind: "mirrored" or "multiworker".

    Returns:
        A `Workers`; a second call returns the same one.

    Raises:
        ArgumentError: a ValueError, for another kind, another Keras backend than TensorFlow, a TF_CONFIG that is
            missing or wrong, an address that is in use, or a program that has used TensorFlow already.
        WorkerLostError: a RuntimeError, where the other workers don't come within BNN_TF_WORKER_TIMEOUT seconds.

    Example:

    >>> workers = join("mirrored")
    >>> training.train(model, dataset, distribute="mirrored")
    """
    if kind not in KINDS:
        raise unknown_name("way to distribute", kind, KINDS)
    if keras.backend.backend() != "tensorflow":
        raise ArgumentError(
            f"distribute={kind!r} is tf.distribute, and needs Keras' TensorFlow backend. Got KERAS_BACKEND="
            f"{keras.backend.backend()}. Set KERAS_BACKEND=tensorflow, or train in one process."
        )
    if kind not in _joined:
        _joined[kind] = _mirrored() if kind == MIRRORED else _multiworker(cluster(), _limit())
    return _joined[kind]


def _mirrored() -> Workers:
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    return Workers(strategy, tf.distribute.experimental.CommunicationOptions())


def _multiworker(processes: Cluster, seconds: float) -> Workers:
    import tensorflow as tf

    # TensorFlow has these limits, and no public way to set them. By default it waits for ever, in its coordination
    # service; without that one it looks after the others by the health checks that are set here.
    importlib.import_module("tensorflow.python.eager.context").context().configure_coordination_service("")
    module = importlib.import_module("tensorflow.python.distribute.collective_all_reduce_strategy")
    module.CollectiveAllReduceExtended._check_health_initial_timeout = seconds
    module.CollectiveAllReduceExtended._check_health_interval = _HEALTH_CHECK_SECONDS
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=seconds)
    _check_port(processes.addresses[processes.rank])
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except RuntimeError as error:
        if "program startup" in str(error):
            raise ArgumentError(
                "distribute='multiworker': TensorFlow has computed something already. Call "
                "bnn_tf.training.join('multiworker') first of all, before a model is built."
            ) from None
        raise _absent(processes, seconds) from None
    except tf.errors.OpError as error:
        raise WorkerLostError(
            f"The workers didn't find each other: {_cause(error)}. Start all of them again."
        ) from None
    return Workers(strategy, options, processes)


def _check_port(address: str) -> None:
    """Says what is wrong with the own port; TensorFlow would end the process, or say less."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", int(address.rpartition(":")[2])))
        except OSError as error:
            raise ArgumentError(
                f"This worker can't listen at {address}: {error.strerror}. Choose another port in TF_CONFIG, in all "
                "processes, or end what uses it: an earlier worker, say."
            ) from None


def _absent(processes: Cluster, seconds: float) -> WorkerLostError:
    return WorkerLostError(
        f"Not all of {', '.join(processes.addresses)} came within {seconds:g} seconds. Start the same command on each "
        f"machine, each with its own index in TF_CONFIG; see that the ports are open. {LIMIT} sets the time limit."
    )


def _limit() -> float:
    text = os.environ.get(LIMIT, str(_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ArgumentError(f"{LIMIT} must be a number of seconds above 0. Got {text!r}.")
    return seconds


@contextmanager
def lost_workers(fault: Callable[[], BaseException | None] = lambda: None) -> Iterator[None]:
    """Says in words what TensorFlow's errors mean: another process is gone.

    Args:
        fault: an exception of our own that lies behind, or None.

    Raises:
        WorkerLostError: a RuntimeError.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        own = fault()
        if own is not None:
            raise own from None
        collective = "ollective" in str(error) or "RecvBuf" in str(error)
        if not collective and not isinstance(error, tf.errors.UnavailableError | tf.errors.DeadlineExceededError):
            raise
        raise WorkerLostError(
            f"Another worker is gone or doesn't answer ({_cause(error)}). Training stops here; what the run folder "
            "holds is whole. Start all workers again with resume (--resume): they go on after the last whole epoch."
        ) from None


def _cause(error: Exception) -> str:
    """The line of TensorFlow's message that says something."""
    text = str(error)
    found = re.search(r"aborted by: (.+)", text)
    return (found.group(1) if found else next((line for line in text.splitlines() if line.strip()), "")).strip()
