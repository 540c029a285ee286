"""``edgeproof search``: the best student for this CPU within a latency budget, then the whole job with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.cli.cluster import cluster_of
from distill.cli.options import AddressOption, EngineOption, JsonOption, SetOption
from distill.errors import EdgeproofError

if TYPE_CHECKING:
    from bench.search.record import Found, SearchRecord
    from distill.recipe import Recipe


def search(
    latency_ms: Annotated[
        float, typer.Option("--latency-ms", help="The most that one image may take as INT8 (p50).", min=0.001)
    ],
    data: Annotated[str | None, typer.Option(help="Your images; for data.path of the recipe.")] = None,
    recipe: Annotated[
        str, typer.Option(help="Its data, teacher, lesson and schedule are taken; its students are not.")
    ] = "own",
    out: Annotated[Path | None, typer.Option("--out", help="Folder (default: runs/search).")] = None,
    trials: Annotated[int, typer.Option(help="Students to look at.", min=1)] = 20,
    students: Annotated[
        str, typer.Option(help="Architectures to draw from, with commas.")
    ] = "rep_cnn,small_cnn,mobilenet_v2",
    quantizer: Annotated[str, typer.Option(help="The tool for INT8 (edgeproof list quantizers).")] = "nncf",
    eta: Annotated[
        int, typer.Option(help="One of so many stays, and trains so many times longer.", min=2)
    ] = 3,
    rungs: Annotated[int, typer.Option(help="Short trainings before the one in full.", min=1)] = 2,
    full: Annotated[
        bool, typer.Option("--full/--no-full", help="Then do the whole job with the chosen one.")
    ] = True,
    as_json: JsonOption = False,
    overrides: SetOption = None,
    engine: EngineOption = "local",
    address: AddressOption = "",
) -> None:
    """Time untrained students as INT8, distil those within the budget shortly, and train the best in full."""
    from bench.search.page import headline, told
    from bench.search.search import Wish
    from bench.search.search import search as look
    from distill.cli.outlook import listed

    cluster = cluster_of(engine, address)
    folder, base = out or Path("runs/search"), _recipe(recipe, data=data, overrides=overrides or [])
    wish = Wish(
        latency_ms=latency_ms, trials=trials, eta=eta, rungs=rungs, tool=_known_tool(quantizer), students=_known(students)
    )  # fmt: skip
    listed(base)  # complain of a folder that is not there before minutes are spent
    template = next(iter(base.students.values()))

    def train(forms: "Sequence[Found]", *, epochs: int) -> Mapping[str, float]:
        return _distil(
            _with_students(base, forms, epochs=epochs, seeds=(0,)), folder / "run", cluster=cluster
        )

    found = look(base, wish, out=folder, train=train, say=_say, epochs=template.epochs)
    page = _write_page(found, folder)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        typer.echo(f"{headline(found)}\n{told(found)}\nsearch: {page}")
    if full and found.chosen:
        from distill.cli.run import run_verb

        whole = _with_students(base, [found.named(found.chosen)], epochs=template.epochs, seeds=())
        run_verb(whole, out=folder / "run", overrides=[], verb="report", cluster=cluster)


def _recipe(name: str, *, data: str | None, overrides: Sequence[str]) -> "Recipe":
    from distill.recipe import load_recipe

    return load_recipe(name, overrides=[*([f"data.path={data}"] if data else []), *overrides])


def _known(names: str) -> tuple[str, ...]:
    from bench.search.space import SPACES
    from distill.errors import unknown_name

    found = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    for name in found:
        if name not in SPACES:
            raise unknown_name(kind="student to search", given=name, choices=SPACES)
    return found or tuple(SPACES)


def _known_tool(name: str) -> str:
    from deploy.quantizers import find_quantizer

    if find_quantizer(name).needs_network:
        raise EdgeproofError(
            f"--quantizer: {name} needs the network itself, expected one that takes an artifact"
        )
    return name


def _with_students(
    base: "Recipe", forms: "Sequence[Found]", *, epochs: int, seeds: tuple[int, ...]
) -> "Recipe":
    """The recipe with these students, each with the schedule of the recipe's first."""
    from distill.recipe import Recipe, StudentSettings

    first = next(iter(base.students.values()))
    kept = first.model_dump(exclude={"name", "options", "layers"})
    students: dict[str, Any] = {
        form.name: StudentSettings.model_validate(
            {**kept, "name": form.architecture, "options": form.options, "epochs": epochs, "seeds": seeds or first.seeds}
        )
        for form in forms
    }  # fmt: skip
    values = {name: getattr(base, name) for name in type(base).model_fields}
    return Recipe.model_validate({**values, "students": students})


def _distil(recipe: "Recipe", folder: Path, *, cluster: str | None) -> dict[str, float]:
    """Train the students of a recipe, distilled alone; the validation score of each at its best epoch."""
    from distill.cli.run import carry_out, stages_leaving
    from distill.roster import roster_of
    from distill.training.history import HISTORY, History

    trainings = [t for t in roster_of(recipe).trainings if t.arm == "distilled"]
    stages = stages_leaving(recipe, [f"{t.folder}/{HISTORY}" for t in trainings])
    carry_out(recipe, folder, stages, cluster=cluster)
    scores = {}
    for training in trainings:
        history = History.read(folder / training.folder / HISTORY)
        scores[training.name] = max(epoch.valid_score for epoch in history.epochs)
    return scores


def _write_page(record: "SearchRecord", folder: Path) -> Path:
    from bench.search.page import page_of
    from distill.files import write_text
    from distill.page import html

    path = folder / "search.html"
    write_text(path, html.render(page_of(record)))
    return path.resolve()


def _say(text: str) -> None:
    from distill.cli.verbosity import is_quiet

    if not is_quiet():
        typer.echo(f"edgeproof: {text}", err=True)
