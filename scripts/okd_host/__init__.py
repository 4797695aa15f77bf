"""The host agent: what the program asks of the services host, done there.

Owns everything that needs the services host's own tools: delivering a service's files, packages, the registry's
storage, boot files, and the checks from inside the cluster network. Does not own what is in the files: documents come
on stdin, made by the program from the settings. Standard library only, Python 3.9 or newer; every verb imports only
what it needs, because the interpreter starts many times on a slow processor.
"""
