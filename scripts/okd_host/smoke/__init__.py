"""The smoke check: does the cluster network give a machine everything it needs, seen from inside?

One module for each protocol, each a small client of its own: the check must not depend on how the services host itself
resolves names or keeps time. None of them changes anything on the services.
"""
