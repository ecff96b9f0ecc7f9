"""`python -m ci_ml` and the `ci-ml` command."""

import sys


def main() -> None:
    """Run the command line; `--version` alone costs no import."""
    if sys.argv[1:] == ["--version"]:
        from ci_ml import __version__

        print(f"ci-ml {__version__}")
        return
    from ci_ml.cli import cli

    cli()


if __name__ == "__main__":
    main()
