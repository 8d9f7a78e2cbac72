"""What the command line turns into one clear line and exit code 2."""

from __future__ import annotations


class UserError(ValueError):
    """Bad input from the user: names the file, key or value at fault and what to do about it."""
