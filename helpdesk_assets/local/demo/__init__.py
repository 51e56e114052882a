"""Demo on one machine: webhooks get lost, and the sync finds the missed updates.

Runs the real job, writer and adapter; only the helpdesk and BigQuery are stand-ins. This file
imports nothing, so that each module can be used alone.
"""
