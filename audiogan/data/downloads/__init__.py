"""Data sets from the Internet: downloaded with checks, resumable, with their credits."""
