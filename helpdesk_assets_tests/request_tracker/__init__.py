"""Against the real thing: a Request Tracker that is started here, by deploy/request-tracker.sh."""
