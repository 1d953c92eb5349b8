"""Trainings whose outcomes stand in docs/experiments.md: which they are, running them, telling what came out.

    plan        what a run and an experiment are
    plans       which there are, as arguments of `bnn-tf train`
    running     one training after the other, each in a process of its own, to a small JSON under results/experiments
    latency     what an image costs the packed networks, to latency.json beside those
    page        docs/experiments.md and its pictures, made of those files alone

`python -m experiments` is the command.
"""
