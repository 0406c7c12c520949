"""Examples that come with pmcmc: `python -m pmcmc line`. Each is a copy of a file of examples/."""
