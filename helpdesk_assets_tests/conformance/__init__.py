"""Every adapter through the same stories, at a simulated helpdesk in its vendor's dialect."""
