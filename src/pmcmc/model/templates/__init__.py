"""Models to begin with, written by `python -m pmcmc init`: each runs as it is."""
