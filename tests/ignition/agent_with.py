#!/usr/bin/python3
"""agent_with.py SNIPPET VERB...: the host agent, after a snippet of Python has changed something about it."""

import sys

from okd_host.__main__ import main

exec(sys.argv[1], {})
sys.exit(main(sys.argv[2:]))
