"""Examples that come with pmcmc: `python -m pmcmc line`. Each is a model file of examples/."""
