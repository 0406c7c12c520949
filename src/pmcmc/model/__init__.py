"""What to sample: log_prob, parameters, priors, and the file that gives them.

Imports `errors` alone.
"""
