"""`python3 -m lab.upstream up|down`: start or end the lab's web server and registry."""

import sys

from lab import upstream
from lab.progress import StepFailed, fail

if __name__ == "__main__":
    verbs = {"up": upstream.up, "down": upstream.down}
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        print("usage: python3 -m lab.upstream up|down", file=sys.stderr)
        sys.exit(2)
    try:
        verbs[sys.argv[1]]()
    except StepFailed as error:
        sys.exit(fail(error))
