"""The modules of segment-anything that models are built of, without the rest of that package.

Its `__init__` imports the predictor, and that torchvision, which takes as long as torch itself. Here it runs when
somebody asks the package for a name, so that `from segment_anything import SamPredictor` works before and after.
"""

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


def _put_off(name: str) -> None:
    """Register a package whose `__init__` runs as soon as a name is asked for that it does not have yet."""
    if name in sys.modules or (spec := find_spec(name)) is None or spec.loader is None:
        return
    package, loader = module_from_spec(spec), spec.loader

    def load(attribute: str) -> Any:
        # What Python asks any module for, as `__warningregistry__`, is no use of it.
        if attribute.startswith("__") and attribute != "__all__":
            raise AttributeError(attribute)
        vars(package).pop("__getattr__", None)
        loader.exec_module(package)
        return _attribute(package, attribute)

    vars(package)["__getattr__"] = load
    sys.modules[name] = package


def _attribute(package: ModuleType, name: str) -> Any:
    if name in vars(package):
        return vars(package)[name]
    raise AttributeError(f"module '{package.__name__}' has no attribute '{name}'", name=name, obj=package)


_put_off("segment_anything")

from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer  # noqa: E402
from segment_anything.modeling.common import LayerNorm2d  # noqa: E402
from segment_anything.modeling.image_encoder import Attention, Block, get_rel_pos  # noqa: E402

__all__ = [
    "Attention",
    "Block",
    "ImageEncoderViT",
    "LayerNorm2d",
    "MaskDecoder",
    "PromptEncoder",
    "Sam",
    "TwoWayTransformer",
    "get_rel_pos",
]
