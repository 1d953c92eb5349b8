"""`bnn-tf report`: the runs of a folder as one HTML page that needs nothing but itself.

runs.py        finds the runs and reads their files, which may be damaged
experiments.py finds the tables that many trainings fill, and what is on the page about them
damage.py      how files are read that can't be trusted
evaluating.py  evaluates trainings that were found
sections.py    what the page says about each of them: tables and pictures
page.py        the page, from the template, the style and the script beside it
"""

from bnn_tf.reporting.page import write_report

__all__ = ["write_report"]
