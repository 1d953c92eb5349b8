"""What the page says about each run: its tables and its pictures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bnn_tf import plots
from bnn_tf.errors import UserError
from bnn_tf.reporting import experiments
from bnn_tf.reporting.pictures import Picture, kernel_pictures, picture
from bnn_tf.reporting.runs import ComparisonRun, Evaluated, EvaluationRun, Runs, TrainingRun
from bnn_tf.reporting.tables import Cell, Table, flat, number, percent, table, text
from bnn_tf.training.grid import cell_label
from bnn_tf.training.metrics import FIGURES
from bnn_tf.training.rows import Group, groups

# Kernels are shown of so many networks of a comparison: each model takes a second to load and draw.
_MOST_KERNELS = 8
# What differs from run to run without being a choice, or follows from one.
_CIRCUMSTANCES = ("environment.", "command", "network.", "data.labels_crc32", "data.train_images", "data.test_images")

Evaluate = Callable[[TrainingRun], Evaluated]


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        id: what leads to it.
        title: its heading.
        kind: "training", "comparison", "evaluation", "experiment".
        facts: names and values.
        problems: what is wrong or unfinished.
        tables, pictures: in their order.
        details: names and values that are unfolded on demand, under their headings.
        command: what made the run.
        about: what it is, in words.
    """

    id: str
    title: str
    kind: str
    facts: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    details: dict[str, dict[str, str]] = field(default_factory=dict)
    command: str = ""
    about: str = ""


def sections(runs: Runs, kernels: bool = True, evaluate: Evaluate | None = None) -> list[Section]:
    """A section for each run, and those about several trainings before them.

    Args:
        runs: what was found.
        kernels: whether models are loaded for pictures of their kernels.
        evaluate: finds the figures of a training's classes, where they are wanted.
    """
    numbered = {id(run): f"{kind}-{number}" for kind, number, run in _numbered(runs)}
    found = [_experiment(each, index) for index, each in enumerate(runs.experiments, 1)]
    if runs.trainings:
        found.append(_trainings(runs.trainings, numbered))
    found += [_fold_section(name, folds, index) for index, (name, folds) in enumerate(_folds(runs).items(), 1)]
    found += [_comparison(run, numbered[id(run)], kernels) for run in runs.comparisons]
    found += [_evaluation(run, numbered[id(run)]) for run in runs.evaluations]
    found += [_training(run, numbered[id(run)], kernels, evaluate) for run in runs.trainings]
    return found


def _numbered(runs: Runs) -> list[tuple[str, int, Any]]:
    kinds = (("training", runs.trainings), ("comparison", runs.comparisons), ("evaluation", runs.evaluations))
    return [(kind, number, run) for kind, several in kinds for number, run in enumerate(several, 1)]


# Experiments.


def _experiment(experiment: experiments.Experiment, index: int) -> Section:
    return Section(
        f"experiment-{index}",
        experiment.title,
        "experiment",
        tables=experiments.tables(experiment),
        pictures=experiments.pictures(experiment),
        about=experiment.about,
    )


# Trainings.


def _trainings(runs: list[TrainingRun], ids: Mapping[int, str]) -> Section:
    columns = ("run", "network", "scheme", "data", "epochs", "best accuracy", "at epoch", "last accuracy", "last loss")
    rows = [_training_row(run, ids[id(run)]) for run in runs]
    tables = [table("All trainings", (*columns, "parameters", "seconds", "state"), rows)]
    differing = _differences(runs)
    if differing is not None:
        tables.append(differing)
    pictures = []
    with_curves = {run.name: run.history for run in runs if run.history}
    if 1 < len(with_curves) <= plots.MOST_CURVES:
        pictures.append(picture("learning curves", partial(plots.learning_curves, with_curves)))
    return Section("trainings", "Trainings", "overview", tables=tuple(tables), pictures=tuple(pictures))


def _training_row(run: TrainingRun, link: str) -> list[Cell]:
    config, best = run.config, run.best_epoch
    return [
        text(run.name, link),
        text(config.get("model")),
        text(config.get("scheme")),
        text(config["data"].get("name")),
        number(run.epochs),
        percent(run.history["val_accuracy"][best - 1] if best else None),
        number(best or None),
        percent(_last(run, "val_accuracy")),
        number(_last(run, "val_loss"), ".4f"),
        number(config["network"].get("parameters")),
        number(run.seconds, ",.1f"),
        text(run.state),
    ]


def _last(run: TrainingRun, figure: str) -> float | None:
    """The figure of the last epoch; None where there is none."""
    return (run.history.get(figure) or [None])[-1]  # type: ignore[list-item]


def _differences(runs: list[TrainingRun]) -> Table | None:
    """The settings in which the trainings aren't all the same; None where there are none."""
    settings = [{k: v for k, v in flat(run.config).items() if not k.startswith(_CIRCUMSTANCES)} for run in runs]
    names = list(dict.fromkeys(name for each in settings for name in each))
    differing = [name for name in names if len({each.get(name) for each in settings}) > 1]
    if not differing:
        return None
    rows = [[text(run.name), *(text(each.get(n)) for n in differing)] for run, each in zip(runs, settings, strict=True)]
    return table("Settings that differ", ("run", *differing), rows)


def _training(run: TrainingRun, link: str, kernels: bool, evaluate: Evaluate | None) -> Section:
    config = run.config
    pictures = []
    if run.history:
        pictures.append(picture("learning curves", partial(plots.learning_curves, {"run": run.history})))
    flips = run.history.get("flipped")
    if flips:
        pictures.append(picture("signs changed", partial(plots.sign_flips, {"all binary layers": flips})))
    if kernels:
        pictures += kernel_pictures(run.model_file)
    tables = []
    if evaluate is not None:
        try:
            found = evaluate(run)
            tables += [_figures((found,)), _classes(found)]
            pictures.append(_confusions(found))
        except (UserError, OSError) as error:
            pictures.append(Picture("confusion matrix", missing=f"no evaluation: {error}"))
    facts = {
        "network": f"{config.get('model', 'unnamed')}, {config.get('scheme', 'no scheme')}",
        "data": str(config["data"].get("name")),
        "epochs": f"{run.epochs} of {config['recipe'].get('epochs')}",
    }
    if run.best_epoch:
        facts["best test accuracy"] = f"{run.history['val_accuracy'][run.best_epoch - 1]:.2%}, epoch {run.best_epoch}"
    rest = {name: value for name, value in config.items() if name not in ("environment", "command")}
    details = {"Configuration": flat(rest), "Environment": flat(config["environment"])}
    command = str(config.get("command", ""))
    return Section(link, run.name, "training", facts, run.problems, tuple(tables), tuple(pictures), details, command)


# Cross-validation.


def _folds(runs: Runs) -> dict[str, list[TrainingRun]]:
    """Trainings in folders fold1, fold2, ..., by the folder around them."""
    found: dict[str, list[TrainingRun]] = {}
    for run in runs.trainings:
        parent, _, last = run.name.rpartition("/")
        if last.startswith("fold") and last[4:].isdecimal():
            found.setdefault(parent or Path(run.path).resolve().parent.name, []).append(run)
    return {name: several for name, several in found.items() if len(several) > 1}


def _fold_section(name: str, folds: list[TrainingRun], index: int) -> Section:
    folds = sorted(folds, key=lambda run: int(run.path.name.removeprefix("fold")))
    accuracies = [run.history["val_accuracy"][-1] for run in folds if run.history.get("val_accuracy")]
    rows = [[text(run.path.name), number(run.epochs), percent(_last(run, "val_accuracy"))] for run in folds]
    facts = {}
    if len(accuracies) > 1:
        mean = sum(accuracies) / len(accuracies)
        deviation = (sum((each - mean) ** 2 for each in accuracies) / (len(accuracies) - 1)) ** 0.5
        facts = {"held-out accuracy": f"{mean:.2%} ± {deviation:.2%} over {len(accuracies)} folds"}
    curves = {run.path.name: run.history for run in folds if run.history}
    drawable = 0 < len(curves) <= plots.MOST_CURVES
    pictures = (picture("learning curves", partial(plots.learning_curves, curves)),) if drawable else ()
    tables = (table("Folds", ("fold", "epochs", "held-out accuracy"), rows),)
    return Section(f"folds-{index}", name, "cross-validation", facts, (), tables, pictures)


# Comparisons.


def _comparison(run: ComparisonRun, link: str, kernels: bool) -> Section:
    found = groups(run.rows)
    names = {_label(group, run): group for group in found}
    histories = {name: history for name, group in names.items() if (history := group.history())}
    pictures = []
    if 0 < len(histories) <= plots.MOST_CURVES:
        pictures.append(picture("learning curves, means over the seeds", partial(plots.learning_curves, histories)))
    if names:
        networks = {name: group.network() for name, group in names.items()}
        pictures.append(picture("accuracy against its costs", partial(plots.trade_off, networks)))
    if kernels:
        for name, group in list(names.items())[:_MOST_KERNELS]:
            if group.first.model_file:
                # What the file says is a name, and leads nowhere else.
                file = run.path / Path(str(group.first.model_file)).name
                last = kernel_pictures(file)[-1]  # of the bits, where there are any
                pictures.append(replace(last, caption=f"{name}: {last.caption}", large=False))
    content = run.content
    details = {
        "Configuration": flat({name: content.get(name) for name in ("grid", "recipes", "precision")}),
        "Environment": flat(content.get("environment")),
    }
    tables = (_comparison_table(names),) if names else ()
    command = str(content.get("command", ""))
    return Section(link, run.name, "comparison", {}, run.problems, tables, tuple(pictures), details, command)


def _label(group: Group, run: ComparisonRun) -> str:
    cells = [row.cell for row in run.rows]
    varied = {f"{part}s" for part in ("model", "width") if len({getattr(cell, part) for cell in cells}) > 1}
    varied |= {"data"} if len({cell.data for cell in cells}) > 1 else set()
    return cell_label(group.first.cell, varied)


def _comparison_table(names: Mapping[str, Group]) -> Table:
    columns = ["network", "data", "scheme", "width", "seeds", "test accuracy", "±", "top\u20115", "packed bytes"]
    columns += ["bytes at 32 bits", "seconds", "images/s"]
    rows = []
    for group in names.values():
        first = group.first
        rows.append(
            [
                *(text(value) for value in (first.model, first.data, first.scheme)),
                number(first.width, "g"),
                number(len(group.rows)),
                percent(group.mean("accuracy")),
                percent(group.deviation("accuracy")),
                percent(group.mean("top_5")),
                number(first.packed_bytes, ",.0f"),
                number(first.float_bytes, ",.0f"),
                number(group.mean("train_seconds"), ",.1f"),
                number(group.mean("images_per_second"), ",.0f"),
            ]
        )
    return table("Means over the seeds, and standard deviations", columns, rows)


# Evaluations.


def _evaluation(run: EvaluationRun, link: str) -> Section:
    if len({model.model for model in run.models}) < len(run.models):  # two checkpoints of one run
        run = replace(run, models=tuple(replace(m, model=f"{m.model} ({i})") for i, m in enumerate(run.models, 1)))
    tables, pictures = [_figures(run.models)], []
    for model in run.models:
        tables.append(_classes(model))
        pictures.append(_confusions(model))
    scores = {model.model: model.metrics.score for model in run.models}
    names = run.models[0].class_names
    pictures.append(picture("score of each class", partial(plots.class_scores, scores, names)))
    facts = {"data": run.models[0].data, "test images": f"{run.models[0].metrics.matrix.sum():,}"}
    if run.p_value is not None:
        facts["p, were both equally good"] = f"{run.p_value:.2g} (McNemar, exact)"
    return Section(link, run.name, "evaluation", facts, (), tuple(tables), tuple(pictures))


def _figures(models: tuple[Evaluated, ...]) -> Table:
    names = list(models[0].figures)
    rows = [
        [text(model.model), *(number(model.figures.get(n), ".4f" if n == "loss" else ".2%") for n in names)]
        for model in models
    ]
    return table("The whole test set", ("model", *names), rows)


def _confusions(model: Evaluated) -> Picture:
    draw = partial(plots.confusion_matrix, model.metrics.matrix, model.class_names, model.model)
    return picture(f"confusion matrix of {model.model}", draw)


def _classes(model: Evaluated) -> Table:
    metrics = model.metrics
    rows = [
        [text(name), number(int(metrics.images[i])), *(percent(float(getattr(metrics, f)[i])) for f in FIGURES)]
        for i, name in enumerate(model.class_names)
    ]
    return table(f"Classes: {model.model}", ("class", "images", *FIGURES), rows)
