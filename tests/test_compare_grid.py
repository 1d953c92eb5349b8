"""What a comparison is about, how its parts are named and how they are drawn."""

import re

import numpy as np

from bnn_tf import plots
from bnn_tf.training.grid import Grid, data_spec, model_spec


class TestGrid:
    def test_specifications(self):
        assert model_spec("lenet") == ("lenet", {})
        assert model_spec("resnet_cifar:n=2,shortcuts=B") == ("resnet_cifar", {"n": 2, "shortcuts": "B"})
        assert data_spec("flowers102:size=64") == ("flowers102", {"size": 64})
        assert data_spec("/some:where/pictures") == ("/some:where/pictures", {})

    def test_labels_and_file_names_tell_all_apart(self):
        grid = Grid(("lenet", "resnet_cifar:n=2"), ("digits", "./flowers"), ("float", "bwn"), (0.5, 1.0), (0, 1))
        cells = grid.cells()
        assert len(cells) == 32 == len(set(map(grid.label, cells))) == len(set(map(grid.file_stem, cells)))
        assert all(re.fullmatch(r"[\w.+-]+", grid.file_stem(cell)) for cell in cells)
        assert grid.label(cells[0], without=["seeds"]) == "lenet float ×0.5 digits"


def test_picture_of_accuracies():
    panels = {
        "digits": {"float": {"×1": (0.9, 0.01), "×2": (0.95, 0.02)}, "bwn": {"×1": (0.8, None)}},
        "mnist": {"bwn": {"×2": (0.99, 0.0)}},
    }
    figure = plots.accuracies(panels, "title", joined=True)
    digits, mnist = figure.axes
    assert [list(container.lines[0].get_ydata()) for container in digits.containers] == [[90.0, 95.0], [80.0]]
    bars = [path.vertices for one in digits.containers for path in one.lines[2][0].get_paths()]
    assert [np.isfinite(ends).all() for ends in bars] == [True, True, False], "a deviation of None is no bar"
    assert [label.get_text() for label in digits.get_xticklabels()] == ["×1", "×2"]
    assert [label.get_text() for label in mnist.get_xticklabels()] == ["×2"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["float", "bwn"]
