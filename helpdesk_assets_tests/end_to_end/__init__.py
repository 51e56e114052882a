"""All parts at work together, over HTTP, as they are for a user."""
