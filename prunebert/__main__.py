"""`python -m prunebert` is `prunebert`."""

from prunebert.cli import main

main()
