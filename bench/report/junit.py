"""A run's gates as JUnit XML (``gates.xml``), which every CI service shows: a test case for each gate and each check."""

from xml.etree import ElementTree

from bench.report.data import RunData
from bench.report.gates import accuracy_checks, all_gates, check_in_words, degradation_checks
from distill.plain import plain


def junit(run: RunData) -> str:
    """The whole file: a suite of the gates, and one of the checks of accuracy; what was not reached is skipped."""
    checks = (*accuracy_checks(run), *degradation_checks(run))
    suites = ElementTree.Element("testsuites", name=plain(run.name))
    _suite(suites, run, "gates", [(gate.name, gate.passed, gate.detail) for gate in all_gates(run)])
    _suite(suites, run, "checks", [(check.name, check.passed, check_in_words(check)) for check in checks])
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(suites, encoding="unicode")}\n'


def _suite(
    suites: ElementTree.Element, run: RunData, name: str, cases: list[tuple[str, bool | None, str]]
) -> None:
    outcomes = [passed for _, passed, _ in cases]
    counts = {
        "tests": len(cases),
        "failures": outcomes.count(False),
        "skipped": outcomes.count(None),
        "errors": 0,
    }
    title = f"{plain(run.name)}.{name}"
    suite = ElementTree.SubElement(
        suites, "testsuite", {key: str(n) for key, n in counts.items()}, name=title
    )
    for case, passed, detail in cases:
        found = ElementTree.SubElement(suite, "testcase", classname=title, name=plain(case))
        if passed is None:
            ElementTree.SubElement(found, "skipped", message=plain(detail))
        elif passed:
            ElementTree.SubElement(found, "system-out").text = plain(detail)
        else:
            ElementTree.SubElement(found, "failure", message=plain(detail)).text = plain(detail)
