"""The page of `bnn-tf report` in a browser: it works, asks for nothing, and can be read."""

import json
import re
import shutil

import browser
import pytest
from reported import make_trainings
from test_training_runs import a_tenth

from bnn_tf.reporting import write_report

pytestmark = pytest.mark.skipif(browser.program() is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page about two trainings, and copies of one: two of large losses, one of none."""
    folder = tmp_path_factory.mktemp("reported") / "runs"
    make_trainings(folder, a_tenth())
    for number, loss in (("2", 9.5), ("10", 10.25), ("1", None)):
        copy = folder / f"copy{number}" / "metrics.jsonl"
        shutil.copytree(folder / "short", copy.parent)
        figures = json.loads(copy.read_text())
        copy.write_text("" if loss is None else json.dumps({**figures, "val_loss": loss}))
    return write_report(folder)


@pytest.fixture(scope="module")
def opened(page, tmp_path_factory):
    """The page in a browser."""
    tab = browser.Browser(tmp_path_factory.mktemp("profile"))
    try:
        tab.open(page)
        yield tab
    finally:
        tab.close()


class TestBrowser:
    COLUMN = "[...document.querySelectorAll('#trainings tbody')[0].rows].map(row => row.cells[{}].textContent)"

    def order(self, opened, column=0):
        return opened.run(self.COLUMN.format(column))

    def test_it_loads_without_an_error_and_nothing_else(self, opened, page):
        assert opened.run("document.title") == "runs: bnn_tf report"
        assert opened.run("[...document.images].every(image => image.complete && image.naturalWidth > 100)")
        assert {address for address in opened.requests if not address.startswith("data:")} == {page.resolve().as_uri()}
        assert opened.errors == []

    def test_a_click_sorts_and_a_second_one_turns_round(self, opened):
        head = "#trainings th:nth-child({}) button"
        opened.click(head.format(1))
        assert self.order(opened) == ["copy1", "copy2", "copy10", "long", "short"]
        assert opened.run("document.querySelector('#trainings th').ariaSort") == "ascending"
        opened.click(head.format(1))
        assert self.order(opened) == ["short", "long", "copy10", "copy2", "copy1"]
        opened.click(head.format(9))  # the loss: as numbers, not as text
        *losses, missing = self.order(opened, 8)
        assert losses == sorted(losses, key=float) and losses[-2:] == ["9.5000", "10.2500"] and missing == "–"
        opened.click(head.format(9))
        assert self.order(opened, 8) == [*reversed(losses), missing]  # what is missing stays last
        assert opened.run("document.querySelectorAll('#trainings [aria-sort]').length") == 1
        assert opened.errors == []

    def test_the_keyboard_sorts_as_well(self, opened):
        opened.run("document.querySelector('#trainings th button').focus()")
        opened.press("Enter")
        assert self.order(opened)[0] == "copy1"
        opened.press("Tab")
        opened.press("Enter")
        assert opened.run("document.querySelector('#trainings th:nth-child(2)').ariaSort") == "ascending"
        assert opened.errors == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_stands_out(self, opened, scheme):
        """The contrast of text and paper is at least 7, WCAG's AAA."""
        opened.emulate(prefers_color_scheme=scheme)
        style = "getComputedStyle(document.body)"
        colours = [re.findall(r"\d+", opened.run(f"{style}.{name}")) for name in ("color", "backgroundColor")]
        bright = [sum(w * luminance(int(v)) for w, v in zip((0.2126, 0.7152, 0.0722), c, strict=True)) for c in colours]
        assert (max(bright) + 0.05) / (min(bright) + 0.05) > 7
        assert (bright[0] > bright[1]) == (scheme == "dark")

    def test_paper_shows_what_is_folded(self, opened):
        assert opened.run("document.querySelectorAll('details[open]').length") == 0
        opened.ask("Page.printToPDF")
        opened.emulate(media="print")
        opened.run("dispatchEvent(new Event('beforeprint'))")
        assert opened.run("document.querySelectorAll('details:not([open])').length") == 0
        opened.run("dispatchEvent(new Event('afterprint'))")
        assert opened.run("getComputedStyle(document.querySelector('nav')).display") == "none"
        opened.emulate()
        assert opened.errors == []

    def test_narrow_windows_scroll_tables_and_not_the_page(self, opened, page):
        opened.open(page, width=390)
        assert opened.run("document.documentElement.scrollWidth") <= 390


def luminance(value):
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
