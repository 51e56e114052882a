"""All parts together, over HTTP, as for a user."""
