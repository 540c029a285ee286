"""What builds a network, by its name: the project's own, a library's classifier, or a user's ``module:factory``."""

from typing import Final, Literal

from distill.parts import find_part
from distill.pretrained import shipped_weights
from students import STUDENTS
from students.options import Factory
from students.torchvision_classifier import TORCHVISION, torchvision_factory
from teachers import TEACHERS, TIMM, timm_factory

LIBRARIES: Final = (f"{TIMM}<name>", f"{TORCHVISION}<name>")


def find_network(name: str, *, role: Literal["student", "teacher", "network"] = "network") -> Factory:
    """What builds the network called ``name``; a ``network`` may be any that a student or teacher may be.

    Raises:
        EdgeproofError: an unknown name, with the choices, or a module or factory that cannot be imported. A library's name
            is looked up when it is built.
    """
    library = timm_factory(name) or torchvision_factory(name)
    if library:
        return library
    table = STUDENTS if role == "student" else TEACHERS  # which has the students too
    shipped = () if role == "student" else tuple(shipped_weights())
    family: Literal["teachers", "students"] = "teachers" if role == "teacher" else "students"
    return find_part(family, name, table=table, kind=role, also=(*LIBRARIES, *shipped))
