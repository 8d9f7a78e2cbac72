"""Commands of the command line. Each module has one command."""
