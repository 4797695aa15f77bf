"""`python3 -m lab.release build`: make the miniature release (or find it in the cache) and print where it is."""

import sys

from lab import release
from lab.progress import StepFailed, fail

if __name__ == "__main__":
    if sys.argv[1:] != ["build"]:
        print("usage: python3 -m lab.release build", file=sys.stderr)
        sys.exit(2)
    try:
        print(release.build().directory)
    except StepFailed as error:
        sys.exit(fail(error))
