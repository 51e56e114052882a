"""The asset checks of the sync."""
