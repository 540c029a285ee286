"""What ``--engine`` and ``--address`` mean for a run. Torch-free."""

from distill.errors import EdgeproofError, unknown_name
from distill.optional import require


def cluster_of(engine: str, address: str) -> str | None:
    """Address of the Ray cluster that does a run's trainings, "" for one of our own; None for the engine ``local``.

    Raises:
        EdgeproofError: an unknown engine, an address that nothing asks for, or Ray is not installed.
    """
    from distill.engine import ENGINES

    if engine not in ENGINES:
        raise unknown_name(kind="engine", given=engine, choices=ENGINES)
    if engine == "local":
        if address:
            raise EdgeproofError(f"--address {address}: found without --engine ray, which alone has one")
        return None
    for package in ("ray", "ray.tune"):
        require(package)
    return address
