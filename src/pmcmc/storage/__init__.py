"""The HDF5 file of a run: its layout, commits, reading, and the lock beside it. The only h5py.

Imports `sampler.state` and `slurm.job`; never MPI.
"""
