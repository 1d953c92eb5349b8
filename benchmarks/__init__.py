"""The binary ops beside TensorFlow, OpenVINO and Larq Compute Engine, and beside what the machine can do at most.

    python -m benchmarks             the table, into results/benchmarks/
    python -m benchmarks growth      how the cost grows with channels, image, batch and kernel
    python -m benchmarks.networks    whole networks, packed, beside those of others
    python -m benchmarks.threads     whose threads the ops should use, in whole models
    python -m benchmarks report      the pictures and docs/benchmarks.md again, from what was measured

Each engine is a process of its own (`engines/`), with its own interpreter where its packages want one. `engine.py`
starts and asks them, `worker.py` is their side of the conversation; `run.py` says who is asked when, `definition.py`
what is right, `ceilings.py` what is possible, `report.py` how it is told.
"""
