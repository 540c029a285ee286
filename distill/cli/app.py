"""The command line, assembled: the only place that knows every package. Imports are lazy, so that ``--help`` is fast."""

import sys

import typer

from distill.cli import run
from distill.cli.data import data_app
from distill.cli.doctor import doctor
from distill.cli.evaluate import evaluate
from distill.cli.export import export
from distill.cli.names import list_names
from distill.cli.predict import predict
from distill.cli.quantize import quantize
from distill.cli.selftest import selftest
from distill.cli.sensitivity import sensitivity
from distill.cli.verify import verify
from distill.errors import EdgeproofError

app = typer.Typer(
    name="edgeproof",
    help="Distil a large real-vs-generated image detector into a small INT8 one, and prove what it cost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
run.add_to(app, own={"export": export, "quantize": quantize, "verify": verify, "evaluate": evaluate})
app.command()(predict)
app.command()(selftest)
app.command()(sensitivity)
app.command(name="list")(list_names)
app.command()(doctor)
app.add_typer(data_app, name="data")


def main() -> None:
    """Entry point: errors a user can mend are one line on standard error, never a traceback."""
    try:
        app()
    except EdgeproofError as error:
        typer.echo(f"edgeproof: error: {error}", err=True)
        sys.exit(error.exit_code)
    except ImportError as error:
        typer.echo(f"edgeproof: error: {error}; pip install 'edgeproof[all]'", err=True)
        sys.exit(2)
    except OSError as error:  # a full disk behind standard output, for one
        typer.echo(f"edgeproof: error: {error.filename or 'output'}: {error.strerror or error}", err=True)
        sys.exit(2)
