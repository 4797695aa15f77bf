"""The part of Pulumi that runs Python programs, for a Pulumi that was built from its Go module."""
