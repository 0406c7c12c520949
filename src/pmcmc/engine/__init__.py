"""The run on all ranks: teams that evaluate, the loop of each rank, the coordinator on rank 0.

Imports all wings below; `cli` alone is above.
"""
