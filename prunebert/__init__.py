"""prunebert: prune BERT with one command and compare what is left."""

__version__ = "0.1.0"
