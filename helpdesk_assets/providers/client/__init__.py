"""HTTP for every adapter: authentication, errors, retries, rate limits and usage counts."""
