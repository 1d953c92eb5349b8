"""The folder of a comparison:

results.json     what is compared, and the finished rows: the last word on what is finished
*.keras          the model of each row
curves.png       learning curves
accuracy.png     accuracy with deviations, where more than schemes varies
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from bnn_tf import plots
from bnn_tf.training.run_folder import RESULTS, RunFolder, RunFolderError
from bnn_tf.training.training_folder import differing

CURVES, ACCURACY = "curves.png", "accuracy.png"
# What must be the same to continue.
_ARGUMENTS = ("format", "grid", "recipes", "precision", "frontend")
_ENVIRONMENT = ("bnn_tf", "keras", "tensorflow", "numpy", "keras_backend", "cpu")

_LOG = logging.getLogger(__name__)


class ComparisonFolder(RunFolder):
    """The folder of a comparison.

    Args:
        path: created where it doesn't exist.
        content: of `results.json`, before anything is finished.
        resume: whether a comparison that was begun there is continued; its arguments must be the same.
        overwrite: whether the files of an earlier run may be removed from it. Files of others are never touched.

    Attributes:
        rows: those that are finished, as JSON has them.

    Raises:
        RunFolderError: a FileExistsError, for a folder that holds something else, another comparison (with what
            differs), or this one without `resume`.
    """

    choices = "Choose another folder, or allow to overwrite it (--overwrite), or continue it (--resume)."

    def __init__(
        self, path: str | os.PathLike[str], content: dict[str, Any], resume: bool = False, overwrite: bool = False
    ):
        super().__init__(path, overwrite, keep=resume)
        self.rows: list[dict[str, Any]] = []
        if (self.path / RESULTS).exists():
            self.rows = self._continued(json.loads(json.dumps(content)))
        else:
            self.write_results(content)

    def _continued(self, content: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            earlier = {"frontend": "keras", **json.loads((self.path / RESULTS).read_text(encoding="utf-8"))}
            rows, arguments = list(earlier["rows"]), {name: earlier[name] for name in _ARGUMENTS}
        except (OSError, ValueError, KeyError, TypeError):
            raise RunFolderError(f"{self.path / RESULTS} describes no comparison. Choose another folder.") from None
        differences = differing(arguments, {name: content[name] for name in _ARGUMENTS})
        if differences:
            raise RunFolderError(
                f"{self.path} holds another comparison: {'; '.join(differences)}. Continue it with its own arguments "
                f"(`{earlier['command']} --resume --out {self.path}`), or choose another folder."
            )
        for name in _ENVIRONMENT:
            before, now = (each["environment"].get(name) for each in (earlier, content))
            if before != now:
                _LOG.warning("%s was begun with %s %s and goes on with %s", self.path, name, before, now)
        _LOG.info("%s: resumed after %d finished trainings", self.path, len(rows))
        return rows

    def write_curves(self, histories: Mapping[str, Mapping[str, Sequence[float]]], title: str) -> None:
        """Draws the learning curves, where there are colours enough to tell them apart."""
        if 0 < len(histories) <= plots.MOST_CURVES:
            with self.replacing(CURVES) as path:
                plots.learning_curves(histories, title).savefig(path, dpi=120)
        else:
            (self.path / CURVES).unlink(missing_ok=True)

    def write_accuracy(self, panels: plots.Panels, title: str, joined: bool) -> None:
        """Draws accuracies and deviations."""
        with self.replacing(ACCURACY) as path:
            plots.accuracies(panels, title, joined=joined).savefig(path, dpi=120)
