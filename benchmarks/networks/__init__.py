"""Whole networks: packed models beside TensorFlow, OpenVINO and Larq Compute Engine, in one run.

    python -m benchmarks.networks --openvino-python PATH --larq-python PATH

into results/benchmarks/networks.json. `cases.py` says which networks stand beside which, `making.py` builds them once
in the forms that the engines read, `measure.py` asks the engines in turn, `report.py` makes the tables.

The weights are random: what a layer computes does not change what it takes. OpenVINO's int8 network is calibrated on
random images for the same reason.
"""
