"""The plain ticket API of the simulated helpdesk and of similar APIs."""
