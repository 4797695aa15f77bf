"""The mirror of a release: what it consists of, copying it, and proof that the registry has all of it.

`verb` is the verb `mirror`; the modules beside it are its parts. oc copies; what is there is asked of the registry and
of its storage, in plain Python, because oc takes seconds to start on a slow processor.
"""
