"""Other forms of a finished artifact, for targets that its own form does not suit. Torch-free."""

from deploy.variants.changes import INPUT_FORMS, Changes, InputForm
from deploy.variants.record import VARIANT, VariantRecord
from deploy.variants.write import write_variant

__all__ = ["INPUT_FORMS", "VARIANT", "Changes", "InputForm", "VariantRecord", "write_variant"]
