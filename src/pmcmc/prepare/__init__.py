"""Before the sampling: the plan, a new or a resumed run, the claim on the output.

Imports `diagnostics` and what is below, and `mpi`.
"""
