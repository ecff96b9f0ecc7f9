"""The command line: options, one call into wiring, one exit. Layer: cli."""

from ci_ml.cli.audit import audit
from ci_ml.cli.commands import cli
from ci_ml.cli.data import data
from ci_ml.cli.monitoring import monitor
from ci_ml.cli.registry import history, promote, rollback, serve_check
from ci_ml.cli.reproducing import reproduce, testset
from ci_ml.cli.retraining import retrain

cli.add_command(audit)
cli.add_command(data)
cli.add_command(monitor)
cli.add_command(reproduce)
cli.add_command(retrain)
cli.add_command(promote)
cli.add_command(rollback)
cli.add_command(history)
cli.add_command(serve_check)
cli.add_command(testset)

__all__ = ["cli"]
