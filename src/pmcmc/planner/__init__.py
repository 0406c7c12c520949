"""The cost model: how long a run takes on so many ranks, and which shape is the best for them.

Pure: numbers in, numbers out. It runs the scheduler's own code from ``pool``, and imports no
mpi4py; of ``diagnostics`` it asks when checks are due.

- costs: what log_prob, messages, emcee and the file cost
- simulate: a team's half-steps as discrete events
- steps: how many steps burn-in and "enough" take
- predict: from a shape to the wall time and efficiency of a run
- choose: the best of some shapes, and where more ranks stop paying
"""
