"""Request Tracker 5."""
