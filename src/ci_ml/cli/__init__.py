"""The command line: options, one call into wiring, one exit. Layer: cli."""

from ci_ml.cli.commands import cli

__all__ = ["cli"]
