"""tau, ESS, R-hat; whether there are enough draws; when a run may stop.

Imports `storage` to read; never MPI.
"""
