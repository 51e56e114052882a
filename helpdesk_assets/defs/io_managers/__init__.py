"""IO managers: they write the values of assets to tables."""
