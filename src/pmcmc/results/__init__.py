"""The draws as users get them: `Result`, exports, plots, the report.

Imports `diagnostics` and `storage`; never MPI.
"""
