"""``python -m audiogan``."""

import sys

from audiogan.cli import main

sys.exit(main())
