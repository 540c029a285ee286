"""A process that runs one runtime's contestants under another's command: ``python -m bench.worker``. Torch-free.

It reads a request a line and answers each with a line of JSON, until there are no more. What a runtime prints goes to
standard error: the answers have a descriptor of their own.
"""

import gc
import json
import os
import signal
import sys
from typing import Any

from bench.contestant import one_line
from bench.contestants.source import ArtifactSource
from bench.pace import Pace
from bench.visits import visit, warm_up
from deploy.timing import Runner, Timer, collector_off

_SOURCES = {source.__name__: source for source in (ArtifactSource,)}


def main() -> None:
    """Serve standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has heard Ctrl-C too, and closes the pipe
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    runners: dict[int, Runner] = {}
    with collector_off():
        for line in sys.stdin:
            answers.write(json.dumps(_answer(json.loads(line), runners)) + "\n")
            answers.flush()


def _answer(request: dict[str, Any], runners: dict[int, Runner]) -> dict[str, Any]:
    try:
        return _ACTIONS[request["do"]](request, runners)
    except Exception as error:  # whatever a runtime raises becomes the row's reason
        return {"error": one_line(error)}


def _prepare(request: dict[str, Any], runners: dict[int, Runner]) -> dict[str, Any]:
    timer = Timer()
    started = timer.clock()
    source = _SOURCES[request["kind"]].model_validate_json(json.dumps(request["source"]))
    run = runners[request["number"]] = source.make()
    left_s = request["limit_s"] - (timer.clock() - started)
    return {"typical_ms": warm_up(run, window=request["window"], timer=timer, limit_s=left_s)}


def _visit(request: dict[str, Any], runners: dict[int, Runner]) -> dict[str, Any]:
    run = runners[request["number"]]
    pace = Pace(request["best_s"])
    found = visit(run, calls=request["calls"], repeats=request["repeats"], timer=Timer(), pace=pace)
    return {"visit": vars(found), "best_s": pace.best_s}


def _free(request: dict[str, Any], runners: dict[int, Runner]) -> dict[str, Any]:
    runners.pop(request["number"], None)
    gc.collect()
    return {}


_ACTIONS = {"prepare": _prepare, "visit": _visit, "free": _free}

if __name__ == "__main__":
    main()
