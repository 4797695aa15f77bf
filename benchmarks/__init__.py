"""Performance as ratios, measured in one run against a peer. No test: run by hand."""
