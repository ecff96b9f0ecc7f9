"""`ci-ml audit`: records, the ledger, and what is made from them. Layer: cli."""

import click

from ci_ml.cli import attesting


@click.group()
def audit() -> None:
    """Records of what was trained, judged and promoted, and what is made from them."""


attesting.register(audit)
