"""The cluster's machines, from power-on to Ready and back: what the services host does about them.

Owns waiting for machines and for the cluster, approving what declared machines ask for, and letting machines go. Does
not own making machines, nor the ignition configs they boot with.
"""
