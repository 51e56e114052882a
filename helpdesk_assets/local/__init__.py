"""What runs on one machine for demos and tests: a simulated helpdesk, a local BigQuery, the demo.

Needs the extra `local`. Only the command line imports it.
"""
