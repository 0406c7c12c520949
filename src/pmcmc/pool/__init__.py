"""`MPIPool`, and how tasks get from a root to its workers and back.

Imports `mpi`.
"""
