"""One ensemble under emcee: where it starts, how it moves, its random stream.

No MPI and no HDF5. Imports `model`.
"""
