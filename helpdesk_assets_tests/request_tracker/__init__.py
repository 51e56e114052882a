"""Tests with a real Request Tracker, which deploy/request-tracker.sh installs."""
