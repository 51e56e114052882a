"""The promises of the README, each with tests that try to break it over HTTP on both sides."""
