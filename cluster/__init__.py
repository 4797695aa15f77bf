"""What is built: settings, machine table, and every file and document derived from them. Never imports pulumi."""
