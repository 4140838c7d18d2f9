"""The entry of `prunebert` and of `python -m prunebert`: signals are handled before anything slow is imported."""

from __future__ import annotations

from prunebert.system import garbage, signals


def main() -> None:
    """Run the command line. A signal ends it with status 75, or 130 for Ctrl-C outside of training, at any moment."""
    signals.leave_at_once()
    try:
        garbage.begin_process()
        with garbage.paused():
            from prunebert.cli import main as command_line
        command_line()
    finally:
        signals.ignore()


if __name__ == "__main__":
    main()
