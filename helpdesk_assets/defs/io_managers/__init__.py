"""How assets' values become tables."""
