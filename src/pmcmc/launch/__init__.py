"""Ranks that pmcmc starts itself: from a terminal, a script or a notebook, and by sbatch.

May import everything below `cli`, but never `engine`: what it starts are other processes.
"""
