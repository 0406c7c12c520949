"""The command line: its arguments, pmcmc.toml, commands, exit status. Imports every wing."""
