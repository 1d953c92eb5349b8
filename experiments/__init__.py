"""Trainings whose outcomes stand in docs/experiments.md: which they are, running them, telling what came out.

    plans       what is trained, as arguments of `bnn-tf train`
    running     one training after the other, each in a process of its own, to a small JSON under results/experiments
    page        docs/experiments.md and its pictures, made of those files alone

`python -m experiments` is the command.
"""
