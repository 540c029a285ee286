"""The command line, assembled: the only place that knows every package. Imports are lazy, so that ``--help`` is fast."""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from distill.cli import run
from distill.cli.attribute import attribute
from distill.cli.bench import bench
from distill.cli.bot import bot
from distill.cli.cross import cross
from distill.cli.data import data_app
from distill.cli.doctor import doctor
from distill.cli.evaluate import evaluate
from distill.cli.explain import explain
from distill.cli.export import export
from distill.cli.names import list_names
from distill.cli.page import app as page
from distill.cli.predict import predict
from distill.cli.quantize import quantize
from distill.cli.report import report
from distill.cli.score import score
from distill.cli.search import search
from distill.cli.selftest import selftest
from distill.cli.sensitivity import sensitivity
from distill.cli.serve import serve
from distill.cli.sign import keygen, sign
from distill.cli.terminate import BY_CTRL_C, stop_code
from distill.cli.verbosity import set_verbosity, show_traceback
from distill.cli.verify import verify
from distill.errors import EdgeproofError, MistakesError
from distill.plain import plain

_MOST_MISTAKES = 100

app = typer.Typer(
    name="edgeproof",
    help="Distil a large real-vs-generated image detector into a small INT8 one, and prove what it cost.",
    epilog="Exit codes: 0 done; 1 a gate failed, with everything written; 2 bad input, in one line; 130 stopped by Ctrl-C, "
    "143 by SIGTERM, with what was finished kept.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"edgeproof {version('edgeproof')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress: errors and answers alone.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell also where in the code an error was found.")
    ] = False,
) -> None:
    if quiet and verbose:
        raise EdgeproofError("--quiet and --verbose were given, expected one of them")
    set_verbosity(quiet=quiet, verbose=verbose)


run.add_to(
    app,
    own={
        "export": export,
        "quantize": quantize,
        "verify": verify,
        "evaluate": evaluate,
        "bench": bench,
        "report": report,
    },
)
app.command()(predict)
app.command()(selftest)
app.command()(sensitivity)
app.command()(search)
app.command()(cross)
app.command()(explain)
app.command()(attribute)
app.command()(score)
app.command()(keygen)
app.command()(sign)
app.command()(serve)
app.command(name="app")(page)
app.command()(bot)
app.command(name="list")(list_names)
app.command()(doctor)
app.add_typer(data_app, name="data")


def main() -> None:
    """Entry point: errors a user can mend are one line on standard error, never a traceback unless it is asked for."""
    _escape_what_cannot_be_written()
    try:
        app()
    except EdgeproofError as error:
        show_traceback(error)
        lines = error.args[:_MOST_MISTAKES] if isinstance(error, MistakesError) else [error]
        told = "\n".join(map(plain, lines))
        typer.echo(f"edgeproof: error: {told}", err=True)
        sys.exit(error.exit_code)
    except SystemExit as end:  # Typer's own for a Ctrl-C that a command leaves to it
        sys.exit(stop_code() if end.code == BY_CTRL_C else end.code)
    except RecursionError as error:
        show_traceback(error)
        typer.echo("edgeproof: error: a file or a value is nested too deeply to be read", err=True)
        sys.exit(2)
    except ImportError as error:
        typer.echo(f"edgeproof: error: {error}; pip install 'edgeproof[all]'", err=True)
        sys.exit(2)
    except OSError as error:  # a full disk behind standard output, for one
        what = f"{error.filename or 'output'}: {error.strerror or error or type(error).__name__}"
        typer.echo(f"edgeproof: error: {plain(what)}", err=True)
        sys.exit(2)


def _escape_what_cannot_be_written() -> None:
    """A name that is no UTF-8, or no ASCII where the terminal knows nothing else, is shown escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
