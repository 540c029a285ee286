"""``edgeproof bench``: how fast are artifacts here; or a recipe up to its latency bench."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from distill.cli.dispatch import given, is_artifact, refuse_for_artifact, refuse_for_recipe
from distill.cli.options import JsonOption, SetOption
from distill.cli.terminate import stopped
from distill.errors import EdgeproofError, GateFailedError, MistakesError, unknown_name

if TYPE_CHECKING:
    from bench.baseline import Compared
    from bench.contestants.selection import Selection
    from bench.records.latency import BenchRecord

SourcesArgument = Annotated[
    list[str],
    typer.Argument(
        help="Artifacts' folders, or names of shipped ones; or one recipe, or one run folder.",
        metavar="ARTIFACT...",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for bench.json, .csv and .xml; one that was stopped goes on there."),
]
ThreadsOption = Annotated[
    str | None, typer.Option(metavar="N,...", help="Threads of a call (default: every core).")
]
BatchOption = Annotated[str | None, typer.Option(metavar="N,...", help="Images of a call (default: 1).")]
RuntimeOption = Annotated[
    str | None, typer.Option(metavar="NAME,...", help="onnxruntime, openvino (default: both).")
]
PrecisionOption = Annotated[
    str | None, typer.Option(metavar="NAME,...", help="fp32, bf16, int8 (default: all).")
]
SizeOption = Annotated[
    str | None,
    typer.Option(
        "--input-size",
        metavar="N,...",
        help="Sides in pixels; the network is reshaped for another than its own, to be timed alone (default: its own).",
    ),
]
SecondsOption = Annotated[
    float | None, typer.Option(help="Time limit of everything (default: until each row is known).", min=1)
]
RulesOption = Annotated[
    str | None, typer.Option(help="mlperf: single stream, at least 1,024 queries and 60 s a row, p90 first.")
]
IsolatedOption = Annotated[
    bool | None,
    typer.Option(
        "--isolated/--shared",
        help="A process for each runtime, or one (default: one each if there are several).",
    ),
]
BaselineOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="An earlier bench.json: exit 1 if slower.")
]
RegressionOption = Annotated[
    str | None, typer.Option("--max-regression", metavar="SHARE", help="How much slower (default: 10%).")
]


def bench(
    sources: SourcesArgument,
    out: OutOption = None,
    threads: ThreadsOption = None,
    batch: BatchOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
    input_size: SizeOption = None,
    seconds: SecondsOption = None,
    rules: RulesOption = None,
    isolated: IsolatedOption = None,
    baseline: BaselineOption = None,
    max_regression: RegressionOption = None,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Time artifacts on this CPU, beside the reference at the same input size; or a recipe up to its latency bench."""
    if len(sources) == 1 and not is_artifact(sources[0]) and not _is_shipped(sources[0]):
        refuse_for_recipe(sources[0], {
            "--threads": threads, "--batch": batch, "--runtime": runtime, "--precision": precision,
            "--input-size": input_size, "--seconds": seconds, "--rules": rules, "--baseline": baseline,
            "--isolated/--shared": None if isolated is None else True, "--max-regression": max_regression, "--json": as_json,
        })  # fmt: skip
        from distill.cli.run import run_verb

        run_verb(sources[0], out=out, overrides=overrides or [], verb="bench")
        return
    refuse_for_artifact(sources[0], {"--set": overrides})
    how = _how(seconds=seconds, rules=rules, isolated=isolated)
    selection = _selection(threads, batch, runtime, precision, input_size)
    if max_regression and not baseline:
        raise EdgeproofError("--max-regression: goes with --baseline")
    _bench(
        sources, selection, how, out=out, baseline=baseline, limit=max_regression or "10%", as_json=as_json
    )


def _bench(
    sources: Sequence[str],
    selection: "Selection",
    how: Any,
    *,
    out: Path | None,
    baseline: Path | None,
    limit: str,
    as_json: bool,
) -> None:
    from bench.artifacts import bench_artifacts, finish, work_folder
    from bench.baseline import compare_to, parse_limit
    from bench.contestants.selection import find_artifacts, select
    from bench.records.latency import BenchRecord
    from distill.cli.progress import bar

    most = parse_limit(limit)
    earlier = BenchRecord.read(baseline) if baseline else None
    started = time.perf_counter()
    artifacts, problems = find_artifacts(sources)
    if not artifacts:
        raise MistakesError(*problems)
    for problem in problems:
        _say(f"{problem}; left out")
    try:
        with work_folder(out) as work, bar("timing") as progress:
            record = bench_artifacts(
                select(artifacts, selection, work=work),
                how,
                out=out,
                spent_s=time.perf_counter() - started,
                note=_say,
                progress=lambda what, done, total, /: progress(done, total),
            )
    except KeyboardInterrupt:
        onwards = f"; the same command goes on in {out}" if out else "; with --out it could have gone on"
        raise stopped(onwards) from None
    compared = compare_to(earlier, record, limit=most) if earlier else None
    _show(record, as_json=as_json)
    if out:
        for path in finish(record, out, regressed=compared.regressed if compared else {}):
            typer.echo(f"written: {path}", err=True)
    untimed = _untimed(record)
    for line in untimed:
        _say(line)
    _judge(compared, baseline, missing=len(problems) + len(untimed))


def _untimed(record: "BenchRecord") -> list[str]:
    """A line for each artifact of which every row failed: a damaged one, or one that no runtime takes."""
    by_model: dict[str, list[Any]] = {}
    for row in record.rows:
        by_model.setdefault(row.model, []).append(row)
    return [
        f"{model}: not timed ({rows[0].reason})"
        for model, rows in by_model.items()
        if all(row.status == "failed" for row in rows)
    ]


def _show(record: "BenchRecord", *, as_json: bool) -> None:
    if as_json:
        typer.echo(record.model_dump_json(indent=2))
        return
    from rich.console import Console

    from bench.listing import bench_table

    console = Console()
    if not console.is_terminal:
        console.width = 150  # a log has no width, and 80 columns cut names
    console.print(bench_table(record), highlight=False, markup=False)


def _judge(compared: "Compared | None", baseline: Path | None, *, missing: int) -> None:
    """End with what failed: a regression before a mistake in what was asked for."""
    if compared is not None:
        for note in compared.notes:
            _say(note)
        if compared.regressed:
            told = "; ".join(f"{name}: {what}" for name, what in compared.regressed.items())
            raise GateFailedError(f"slower than {baseline}: {told}")
        if not compared.rows:
            raise GateFailedError(f"{baseline}: not checked, none of its rows was timed again")
        _say(f"{compared.rows} rows compared with {baseline}, none is slower beyond the limit and the noise")
    if missing:
        raise EdgeproofError(f"{missing} of what was asked for could not be timed, as told above")


def _how(*, seconds: float | None, rules: str | None, isolated: bool | None) -> Any:
    from bench.artifacts import How
    from bench.records.latency import Rules

    if rules is not None and rules not in get_args(Rules):
        raise unknown_name(kind="rules", given=rules, choices=get_args(Rules))
    if rules == "mlperf":
        for name in given({"--seconds": seconds}):
            raise EdgeproofError(f"{name}: does not go with --rules mlperf, which wants 60 s of every row")
    return How(seconds=seconds, rules="mlperf" if rules == "mlperf" else "edgeproof", isolated=isolated)


def _selection(
    threads: str | None, batch: str | None, runtime: str | None, precision: str | None, size: str | None
) -> "Selection":
    from bench.contestants.artifact import PRECISIONS
    from bench.contestants.selection import Selection
    from deploy.artifact import MODEL_FILES
    from distill.machine import thread_count

    return Selection(
        threads=_numbers("--threads", threads) or (thread_count(0),),
        batches=_numbers("--batch", batch) or (1,),
        runtimes=_names("runtime", runtime, MODEL_FILES),
        precisions=_names("precision", precision, PRECISIONS),
        input_sizes=_numbers("--input-size", size),
    )


def _numbers(option: str, text: str | None) -> tuple[int, ...]:
    parts = text.split(",") if text is not None else []
    if not all(part.strip().isdecimal() and 0 < int(part) < 100_000 for part in parts):
        raise EdgeproofError(f"{option} {text}: expected whole numbers from 1, as in 1,2")
    return tuple(dict.fromkeys(int(part) for part in parts))


def _names(kind: str, text: str | None, choices: Any) -> tuple[Any, ...]:
    found = tuple(dict.fromkeys(part.strip() for part in text.split(","))) if text is not None else ()
    for name in found:
        if name not in choices:
            raise unknown_name(kind=kind, given=name, choices=choices)
    return found


def _is_shipped(source: str) -> bool:
    if Path(source).exists():
        return False
    from deploy.shipped import shipped_artifacts

    return source in shipped_artifacts()


def _say(text: str) -> None:
    typer.echo(f"edgeproof: {text}", err=True)
