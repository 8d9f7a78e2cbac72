"""``python -m audiogan``."""

import sys

from audiogan.cli import main

if __name__ == "__main__":  # Worker processes import this module under another name.
    sys.exit(main())
