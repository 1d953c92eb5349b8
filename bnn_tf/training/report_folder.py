"""The folder of an evaluation:

    results.json     everything
    classes.csv      the figures of each class
    confusion.csv    how many images of each class were taken for which
    confusion.png    the same as a picture

and of two models `first_confusion.csv`, `second_confusion.csv` and so on.
"""

from bnn_tf import plots
from bnn_tf.training.evaluation import Report
from bnn_tf.training.pairing import Pair
from bnn_tf.training.run_folder import RESULTS, RunFolder


class ReportFolder(RunFolder):
    """The folder of an evaluation; what its arguments and errors are, see `RunFolder`."""

    def write(self, result: Report | Pair) -> list[str]:
        """Writes the files; those that are there are whole.

        Returns:
            Their names.
        """
        reports = {"": result} if isinstance(result, Report) else {"first_": result.first, "second_": result.second}
        pictures = [f"{prefix}confusion.{kind}" for prefix in reports for kind in ("csv", "png")]
        files = ["classes.csv", *pictures]
        # First, so that a writing cut short can be repeated with `overwrite`.
        self.write_results({"files": files, **result.to_dict()})
        self.write_text("classes.csv", result.classes_csv())
        for prefix, report in reports.items():
            self.write_text(f"{prefix}confusion.csv", report.confusion_csv())
            with self.replacing(f"{prefix}confusion.png") as path:
                title = f"{report.model} on {report.data}: {report.accuracy:.2%}"
                plots.confusion_matrix(report.metrics.matrix, report.class_names, title).savefig(path, dpi=120)
        return [RESULTS, *files]
