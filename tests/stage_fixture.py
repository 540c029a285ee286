"""A job of a few stages that note what was done."""

from distill.pipeline.runner import run_stages
from distill.pipeline.stage import Run, Stage
from distill.pipeline.state import STATE, StageStates
from distill.recipe import parse_recipe

VALUES = {"name": "mine", "data": {"path": "photos"}, "students": {"small": {"name": "small_cnn"}}}


def recipe(**changes):
    return parse_recipe({**VALUES, **changes}, origin="")


class Job:
    """Four stages: data → teacher → report, and students beside the teacher; what they did stands in ``done``."""

    def __init__(self, folder):
        self.folder = folder
        self.done = []
        self.break_with = {}

    def stages(self, **changes):
        parts = {
            "data": Stage("data", "data", self.act, ("data.path",), outputs=("data.txt",)),
            "teacher": Stage(
                "teacher", "teach", self.act, ("teacher.epochs",), ("data",), ("deep/teacher.txt",)
            ),
            "student": Stage(
                "student", "distill", self.act, ("loss.kind",), ("data",), ("student.txt", "more.txt")
            ),
            "export": Stage("export", "export", self.act, (), ("student",), ("export.txt",)),
            "report": Stage("report", "report", self.act, (), ("export",), ("report.txt",), always=True),
        }
        stages = []
        for name, stage in parts.items():
            fields = {**vars(stage), "action": self.acting(stage), **changes.get(name, {})}
            stages.append(Stage(**fields))
        return stages

    def acting(self, stage):
        def action(run, progress):
            self.done.append(stage.name)
            for output in stage.outputs:
                (run.folder / output).parent.mkdir(parents=True, exist_ok=True)
                (run.folder / output).write_text(f"{stage.name} of {run.recipe.seed}")
            progress(1, 1)
            if stage.name in self.break_with:
                raise self.break_with[stage.name]

        return action

    def act(self, run, progress):
        raise NotImplementedError

    def run(self, *, resume=False, stages=None, **changes):
        self.done.clear()
        run_stages(Run(self.folder, recipe(**changes)), stages or self.stages(), resume=resume)
        return self.done

    def state(self):
        return StageStates.read(self.folder / STATE).stages


ALL = ["data", "teacher", "student", "export", "report"]
