"""All that knows Slurm: the job around a process, and the text of a batch script.

Imports `options` and `model.load`; never MPI.
"""
