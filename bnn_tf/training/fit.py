"""Training and evaluating one network."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras

from bnn_tf.data import Dataset
from bnn_tf.quantizers import Anneal
from bnn_tf.training import losses
from bnn_tf.training.arrays import array
from bnn_tf.training.batches import EvaluationBatches, TrainingBatches, check_model
from bnn_tf.training.distributed import Workers, join
from bnn_tf.training.divergence import NotFinite, Watch, explain
from bnn_tf.training.interruption import Interruption
from bnn_tf.training.optimizers import leaves, make_optimizer
from bnn_tf.training.plateau import Plateau
from bnn_tf.training.progress import progress_bar
from bnn_tf.training.recipe import Recipe, recipe_for
from bnn_tf.training.records import EventFiles, Figures, Recorder
from bnn_tf.training.run_config import run_config
from bnn_tf.training.selection import freeze_layers
from bnn_tf.training.training_folder import EVENTS, State, TrainingFolder
from bnn_tf.training.transfer import load_model

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """What `train` has done.

    Attributes:
        history: for each epoch "loss" and "accuracy" on the training set (running, with dropout), "val_loss" and
            "val_accuracy" on the test set, "learning_rate" at its beginning and, with binary layers, "flipped", the
            share of their weights whose sign it changed.
        seconds: of wall clock, the evaluations after each epoch included; over all processes of a resumed training.
        best_epoch: the number, from 1, of the epoch with the highest "val_accuracy".
        resumed_after: how many epochs were done before; 0 for a training from the beginning.
    """

    history: dict[str, list[float]]
    seconds: float
    best_epoch: int = 0
    resumed_after: int = 0


@dataclass(frozen=True)
class Evaluation:
    """Attributes:
    loss: the mean cross-entropy.
    accuracy: the share of images whose largest logit is that of their class.
    """

    loss: float
    accuracy: float


def train(
    model: keras.Model,
    dataset: Dataset,
    recipe: Recipe | None = None,
    *,
    seed: int = 0,
    progress: str | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    teacher: keras.Model | str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tensorboard: bool = False,
    description: Mapping[str, Any] | None = None,
    distribute: str | None = None,
) -> Training:
    """Trains a model from images to logits, with cross-entropy, on a data set normalised by `Dataset.normalize`.

    With `out`, the folder always holds a whole checkpoint; a training that was interrupted, by `kill -9` too, continues
    with `resume` after its last whole epoch. On the same machine, with as many threads and the same versions, it
    reaches the very weights that it would have reached uninterrupted, as far as the backend's own operations repeat
    themselves (on a CPU, with one thread they do). Other state of your `callbacks` isn't kept. Ctrl-C ends it with
    KeyboardInterrupt after the batch under way, pressed again at once.

    Args:
        model: a built model; its weights change, and it stays compiled.
        dataset: what to train on; its test set is evaluated after each epoch and never trained on.
        recipe: by default `recipe_for(dataset.name)`.
        seed: int, of the order of the images and their augmentation.
        progress: the label of a progress bar on standard error; None for none.
        callbacks: more Keras callbacks.
        teacher: a trained model from the same images to logits, or its file; what it knows is distilled into `model`
            (see `losses.Crossentropy`).
        out: a folder for the run; see `training_folder`.
        resume: whether a training that was begun in `out` is continued; where there is none, it is begun.
        overwrite: whether an earlier run in `out` may be replaced.
        tensorboard: whether events are written to `out` as well.
        description: what `config.json` says besides, how the model was built say; it must be the same to resume.
        distribute: "mirrored" for the devices of this process, "multiworker" for the processes that TF_CONFIG names
            (then call `join` first of all, and `train` in each of them); the batch size counts the images of all
            replicas together. Only the first process needs `out`, writes and shows progress.

    Returns:
        A `Training`.

    Raises:
        ArgumentError: a ValueError, for a recipe that doesn't fit the model or the data.
        RunFolderError: a FileExistsError, where `out` holds something else, or another run.
        FullDiskError: an OSError; the checkpoint before is whole.
        WorkerLostError: a RuntimeError, where another process of a distributed training is gone.
        DivergedError: an ArithmeticError, where the loss is no longer finite; it names the layer where that began. The
            weights are those before that epoch.

    Example:

    >>> digits = bnn_tf.data.load("digits")
    >>> model = bnn_tf.models.lenet("bwn", input_shape=digits.input_shape)
    >>> train(model, digits, Recipe(epochs=1, batch_size=64)).history["val_accuracy"]
    """
    with Interruption() as interruption:
        workers = join(distribute) if distribute else None
        recipe = recipe or recipe_for(dataset.name)
        teacher_model = load_model(teacher) if teacher is not None else None
        check_model(model, dataset, recipe.augment)
        freeze_layers(model, recipe.frozen)
        weights = losses.class_weights(dataset.y_train, dataset.classes, recipe.class_weights)
        batches = TrainingBatches(
            dataset, recipe.batch_size, seed, augment=recipe.augment, weights=weights, teacher=teacher_model
        )
        _compile(model, make_optimizer(model, recipe, len(batches)), recipe, teacher is not None)
        folder, config = None, {}
        if out is not None or workers is not None:
            config = run_config(model, dataset, recipe, seed, teacher, description or {})
        if workers is not None and not workers.chief:
            out = progress = None
        if out is not None:
            folder = TrainingFolder(out, config, resume, overwrite)
        counting = _counting(model, recipe)
        state = _begin(model, folder)
        if workers is not None:
            state = workers.begin(model, state, config)
        after = state.epoch
        extra = [EventFiles(folder.path / EVENTS)] if tensorboard and folder is not None else []
        if not state.finished:
            batches.start(state.epoch)
            label = nullcontext() if progress is None else progress_bar(progress, len(dataset.y_train), state.epoch)
            with label as bar:
                parts = [Watch(), Anneal(recipe.epochs), Figures(), *counting, *callbacks, *extra]
                parts += [*([bar] if bar is not None else []), Recorder(state, folder, counting), interruption]
                _fit(model, batches, EvaluationBatches(dataset, recipe.augment), recipe, state, parts, folder, workers)
        if folder is not None:
            folder.write_metrics(state.history)
            folder.write_curves(state.history, f"{model.name} on {dataset.name}")
        if workers is not None:
            workers.wait()  # The chief may still be writing, and a process that ends takes the others along.
        return Training(state.history, state.seconds, state.best_epoch, after)


def _begin(model: keras.Model, folder: TrainingFolder | None) -> State:
    """Where to begin: what the folder's last checkpoint says, or the model as it is, which becomes the first one."""
    if folder is None:
        return State()
    if folder.begun:
        state = folder.load(model)
        rest = "nothing is left to do" if state.finished else "what follows is what would have followed uninterrupted"
        _LOG.info("%s: resumed after %d epochs; %s", folder.path, state.epoch, rest)
        return state
    folder.save(model, State())
    return State()


def _counting(model: keras.Model, recipe: Recipe) -> list[keras.callbacks.Callback]:
    """The callbacks that count epochs, for a model that has just been compiled: its rates are the recipe's."""
    found: list[keras.callbacks.Callback] = []
    if recipe.schedule == "plateau":
        plateau = Plateau(recipe.plateau_patience, recipe.plateau_factor, recipe.warmup_epochs)
        plateau.set_rates([leaf.get_config()["learning_rate"] for leaf in leaves(model.optimizer)])
        found.append(plateau)
    if recipe.early_stopping is not None:
        found.append(keras.callbacks.EarlyStopping("val_loss", patience=recipe.early_stopping, mode="min"))
    return found


def _fit(
    model: keras.Model,
    batches: TrainingBatches,
    test: EvaluationBatches,
    recipe: Recipe,
    state: State,
    callbacks: list[keras.callbacks.Callback],
    folder: TrainingFolder | None,
    workers: Workers | None,
) -> None:
    """Runs the epochs that are left; where the loss is lost, goes back to the last good state and says why."""
    snapshot = None if folder is not None else Snapshot()
    try:
        _runner(workers)(
            model,
            batches,
            test,
            epochs=recipe.epochs,
            initial_epoch=state.epoch,
            callbacks=[*([snapshot] if snapshot else []), *callbacks],
        )
    except NotFinite as event:
        batches.start(event.epoch)
        restore: Callable[[], object]
        if snapshot is not None:
            restore = snapshot.restore
        else:
            assert folder is not None
            restore = lambda: folder.load(model)  # noqa: E731
        raise explain(event, model, (batches[index] for index in range(len(batches))), restore) from None


def _runner(workers: Workers | None) -> Callable[..., None]:
    """What goes through the epochs: Keras in one process, a loop of our own over several replicas."""
    if workers is not None:
        from bnn_tf.training import distributed_fit  # It needs TensorFlow, whatever the backend.

        return partial(distributed_fit.fit, workers)

    def run(
        model: keras.Model, batches: TrainingBatches, test: EvaluationBatches, *, callbacks: list[Any], **options: Any
    ) -> None:
        # Keras tries batches before the first epoch, and tells `batches` of the end of that epoch, too.
        order = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.start(epoch))
        # `batches` shuffles; Keras would shuffle the batches again, without a seed.
        model.fit(batches, validation_data=test, shuffle=False, verbose=0, callbacks=[order, *callbacks], **options)

    return run


class Snapshot(keras.callbacks.Callback):
    """Keeps what a model and its optimizer are at the beginning of an epoch, where no folder does."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Copies every variable."""
        self._kept = [(variable, array(variable)) for variable in self._variables()]

    def restore(self) -> None:
        """Puts them back."""
        for variable, value in self._kept:
            variable.assign(value)

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]


def evaluate(model: keras.Model, dataset: Dataset) -> Evaluation:
    """Loss and accuracy of a model from images to logits on the test set.

    Example:

    >>> evaluate(keras.models.load_model("runs/digits/lenet_bwn.keras"), bnn_tf.data.load("digits")).accuracy
    """
    if not model.compiled:
        _compile(model, "sgd", Recipe())
    values = model.evaluate(EvaluationBatches(dataset), verbose=0, return_dict=True)
    return Evaluation(float(values["loss"]), float(values["accuracy"]))


def _compile(model: keras.Model, optimizer: Any, recipe: Recipe, distilled: bool = False) -> None:
    model.compile(optimizer, losses.loss_of(recipe, distilled), metrics=[losses.Accuracy()])
