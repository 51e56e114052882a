"""The same scenarios for every adapter, against a simulated helpdesk with its vendor's API."""
