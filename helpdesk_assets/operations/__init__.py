"""What one can do: sync, backfill, repair and reconcile, with any helpdesk and any warehouse."""
