"""The only start-up of mpi4py; messages between ranks, polite waits, failures on a rank.

Imports `errors` and `signals`.
"""
