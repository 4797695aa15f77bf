"""The host agent: real runs of its verbs in namespaces, against real daemons."""
