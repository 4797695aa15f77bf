"""A release on removable media: an archive in parts, saved on a connected host and loaded on a disconnected one.

`parts` is the form, `save` the verb `media-save`, `load` what the verb `mirror` uses instead of the network.
"""
