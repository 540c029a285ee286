"""A network's head, which may train alone at first while what came before it keeps its (pretrained) weights."""

from torch import nn

from distill.errors import EdgeproofError

HEADS = ("classifier", "fc", "head")  # as torchvision, timm and this project call it


def head_of(model: nn.Module) -> nn.Module:
    """The outermost submodule with parameters that is called as heads are.

    Raises:
        EdgeproofError: there is none.
    """
    found = [
        (name.count("."), HEADS.index(last), module)
        for name, module in model.named_modules()
        if (last := name.rpartition(".")[2]) in HEADS and any(True for _ in module.parameters())
    ]
    if not found:
        raise EdgeproofError(
            f"frozen_epochs: {type(model).__name__} has no submodule called {', '.join(HEADS[:-1])} or {HEADS[-1]}, "
            "expected one that can train alone"
        )
    head: nn.Module = min(found, key=lambda entry: entry[:2])[2]
    return head


class Backbone:
    """Everything of a network that trains, but its head."""

    def __init__(self, model: nn.Module) -> None:
        head = head_of(model)
        spared = {id(parameter) for parameter in head.parameters()}
        inside = {id(module) for module in head.modules()}
        self.parameters = [p for p in model.parameters() if p.requires_grad and id(p) not in spared]
        self.modules = [
            module
            for module in model.modules()
            if module.training and id(head) not in map(id, module.modules()) and id(module) not in inside
        ]

    def freeze(self) -> None:
        """No gradients, and evaluation mode: BatchNorm's statistics stay too."""
        for parameter in self.parameters:
            parameter.requires_grad_(False)
        for module in self.modules:
            module.training = False

    def thaw(self) -> None:
        """Train it again."""
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        for module in self.modules:
            module.training = True
