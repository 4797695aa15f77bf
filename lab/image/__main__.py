"""`python3 -m lab.image build`: make the images (or find them in the cache) and print where they are."""

import sys

from lab import image
from lab.progress import StepFailed, fail

if __name__ == "__main__":
    if sys.argv[1:] != ["build"]:
        print("usage: python3 -m lab.image build", file=sys.stderr)
        sys.exit(2)
    try:
        print(image.build())
    except StepFailed as error:
        sys.exit(fail(error))
