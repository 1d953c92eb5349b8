"""One file an engine: a program that `benchmarks.worker.serve` turns into a process to be asked.

Those of other projects import nothing but themselves, NumPy and `benchmarks.worker`: they run in environments of their
own.
"""
