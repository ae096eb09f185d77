"""The settings of a run: the schema of `params.yaml`, validated once on loading."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, field_validator

from naslora_core.errors import ConfigError, shorten
from naslora_core.reading import parse_yaml

Share = Annotated[float, Field(ge=0, le=1)]
# A mask has a byte for the class of a pixel, and 0 is the background.
ClassCount = Annotated[int, Field(ge=1, le=255)]
# Settings also come in other people's files, where an absurd number would fill the memory before anything is checked.
LARGEST_IMAGE_PX, LARGEST_RANK, MOST_CELL_NODES, LARGEST_OPTION = 4096, 1280, 16, 10_000
# Predictions of the image as it is, and of which flips, are averaged.
Flips = Literal["none", "horizontal", "all"]
# The architecture in which every layer is searched; unless another file is named, it need not be there.
NOTHING_GIVEN = Path("architectures/free.json")
DomainName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Section(BaseModel):
    """A group of settings that refuses unknown keys and never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelConfig(Section):
    """Which SAM is adapted: its checkpoint, image size, precision and gradient checkpointing.

    Attributes:
        image_size: side of the square input in pixels; "native" is what the model was trained with.
        precision: "auto" takes bfloat16 where the processor computes in it.
        gradient_checkpointing: train with less memory and more time.
    """

    name: Literal[
        "sam_tiny",
        "vit_b",
        "vit_l",
        "vit_h",
        "mobile_sam",
        "mobile_sam_mini",
        "sam2_hiera_tiny",
        "sam2_hiera_small",
        "sam2_hiera_base_plus",
        "sam2_hiera_large",
        "sam2_mini",
        "sam3",
        "sam3_mini",
    ]
    checkpoint: Path
    image_size: Literal["native"] | Annotated[int, Field(ge=1, le=LARGEST_IMAGE_PX)]
    precision: Literal["auto", "fp32", "bf16"]
    gradient_checkpointing: bool = False


class QualityConfig(Section):
    """The limits of the data gate. Shares are fractions of a mask's pixels or of the pairs.

    Attributes:
        min_class_images: in fewer images than this, a class of several is hardly learnt.
        max_vanished_share: of the objects of a class that have no pixel left at the model's input size.
        min_sharpness: variance of the Laplacian of the grey image.
        max_clipped_share: of an image's pixels that are nearly black, or nearly white.
        near_duplicate_bits: two images are compared as copies if their perceptual hashes (64 bits) differ by no more.
        drift_p_value: of a Kolmogorov-Smirnov test; divided by the number of statistics that are tested.
        drift_min_effect: least Kolmogorov-Smirnov distance, 0..1, that is reported; with many images any change is
            significant, and few are of weight.
    """

    min_pairs: PositiveInt
    min_side_px: PositiveInt
    min_foreground_share: Share
    max_foreground_share: Share
    max_empty_mask_share: Share
    min_class_images: Annotated[int, Field(ge=0)]
    max_vanished_share: Share = 0.05
    min_sharpness: Annotated[float, Field(ge=0)]
    max_clipped_share: Share
    near_duplicate_bits: Annotated[int, Field(ge=0, le=6)]
    drift_p_value: Share
    drift_min_effect: Share


class AdapterConfig(Section):
    """The adapter method, its rank and scaling, and the layers of the image encoder it adapts (LoRA, arXiv:2106.09685).

    Attributes:
        method: a name of `naslora_core.adapters.METHODS`, or "peft:<type>" for a method of Hugging Face PEFT.
        target_modules: ends of layers' names, as in PEFT; "auto" takes those that suit the model's family.
        options: of the method beside its rank; absent in adapters that were saved without any.
    """

    method: str
    rank: Annotated[int, Field(ge=1, le=LARGEST_RANK)]
    lora_alpha: PositiveFloat
    target_modules: Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=1)]
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("options")
    @classmethod
    def _options_are_of_a_size(cls, options: dict[str, Any]) -> dict[str, Any]:
        for name, value in options.items():
            if isinstance(value, int) and value > LARGEST_OPTION:
                raise ValueError(f"{name} is {value}, and at most {LARGEST_OPTION}")
        return options


class SearchConfig(Section):
    """The search space of the cell, and how it is searched (stage 2 of arXiv:2512.03499).

    Attributes:
        space: a named search space, or a list of operations.
        nodes: of the cell beside its input; 1 is the paper's formula.
        partial_channel_k: one k-th of the channels goes through the operations; for nas_pc_lora.
        share_alphas: one set of alphas for all layers instead of one for each.
        alphas: "searched"; or, to see what a search is worth, frozen at "uniform" or "random".
        warmup_epochs: epochs at the start in which the alphas rest.
        alternate: whether stages 1 and 2 take turns by "steps" or by whole "epochs", or are "joint": one loss
            moves weights and alphas in the same step, which leaves `arch_every` without a meaning.
        arch_every: one turn of the architecture after this many of the weights.
        arch_split: share of the training images held out for the architecture; 0 gives both phases all of them.
        arch_schedule: whether `arch_lr` stays or falls to zero along half a cosine.
        temperature: by which the alphas are divided after warm-up.
        final_temperature: the same in the last epoch; between them it changes geometrically.
        pointwise_pressure: what spatial operations lose in alpha late in training, after which they are
            removed, so that an exact merge costs nothing; 0 keeps them.
        budget: time of an image after merging over the base's, as `InferenceCost` estimates it, that the found
            architecture may take: every layer chooses one operation and its ranks. "none" is the paper's cell, a
            mixture.
        max_parameters: of the adapters of an architecture that is searched under a budget; below 1, a share of those
            that all layers have together with the largest rank.
        from_: "from" in the file; an architecture, of which the layers it holds are not searched.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    space: str | tuple[str, ...]
    nodes: Annotated[int, Field(ge=1, le=MOST_CELL_NODES)]
    partial_channel_k: PositiveInt
    share_alphas: bool
    alphas: Literal["searched", "uniform", "random"]
    warmup_epochs: Annotated[int, Field(ge=0)]
    alternate: Literal["steps", "epochs", "joint"]
    arch_every: PositiveInt
    arch_split: Annotated[float, Field(ge=0, lt=1)]
    arch_lr: PositiveFloat
    arch_schedule: Literal["constant", "cosine"]
    arch_weight_decay: Annotated[float, Field(ge=0)]
    temperature: PositiveFloat
    final_temperature: PositiveFloat
    pointwise_pressure: Annotated[float, Field(ge=0)]
    budget: Literal["none"] | Annotated[float, Field(ge=1)] = "none"
    max_parameters: Literal["none"] | Annotated[float, Field(gt=0, lt=1)] | PositiveInt = "none"
    from_: Path = Field(default=NOTHING_GIVEN, alias="from")


class TrainConfig(Section):
    """How the weights are trained (stage 1 of arXiv:2512.03499).

    Attributes:
        loss: "ce_dice" is cross-entropy plus Dice, for any number of classes; "ce_dice_cl" adds clDice, which asks
            for connected centrelines; "structure" is PraNet's loss, for one class. "auto" is ce_dice_cl where the gate
            found thin objects, else ce_dice.
        structure_weights_bce: weight the cross-entropy of the structure loss at edges, as its authors' formula
            says; false repeats what their code, and that of Conv-LoRA, computes.
        view: what the model sees of an image: the "whole", shrunk to its input; or "crops" of its input's size,
            from images at their own scale times `scale`. "auto" is what the gate suggests.
        scale: of crops, the model's input pixels for one of the image; above 1 enlarges what is thin.
        detail: at which part of the input's resolution masks are refined by the image's own edges and lines:
            "half", "full", or "off", which is SAM's quarter. "auto" is half where objects are narrower
            than four cells of SAM's masks.
        tensorboard: write curves and alphas for TensorBoard as well.
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    view: Literal["auto", "whole", "crops"] = "whole"
    scale: Annotated[float, Field(ge=0.1, le=8)] = 1.0
    detail: Literal["auto", "off", "half", "full"] = "off"
    loss: Literal["auto", "ce_dice", "ce_dice_cl", "structure"]
    structure_weights_bce: bool
    lr: PositiveFloat
    decoder_lr: PositiveFloat
    weight_decay: Annotated[float, Field(ge=0)]
    warmup_steps: Annotated[int, Field(ge=0)]
    clip_norm: PositiveFloat
    augment: bool
    tensorboard: bool


class MergeConfig(Section):
    """How the adapter is merged into the model, and how much Dice that may lose.

    Attributes:
        mode: of all layers; "auto" takes for each the first of exact, calibrated and fold with which the whole model
            stays within `max_metric_drop`.
        max_metric_drop: largest loss of validation Dice, 0..1.
        calibration_images: training images whose activations a calibrated merge is fitted to.
        ridge: regularisation of that fit, relative to the mean square of the activations.
    """

    mode: Literal["auto", "exact", "fold", "calibrated"]
    max_metric_drop: Share
    calibration_images: PositiveInt
    ridge: PositiveFloat


class EvaluateConfig(Section):
    """How predictions become masks, and how many examples the report shows.

    Attributes:
        threshold: the probability above which a pixel is foreground, if there is one class; "auto" is the one that
            stage merge chose on the validation images.
        flips: whose predictions are averaged with those of the image: "none", the "horizontal" flip, or "all" three.
        overlap: of the parts in which a model that was trained on crops sees an image, a share of their side.
    """

    threshold: Share | Literal["auto"]
    gallery_size: PositiveInt
    flips: Flips = "none"
    overlap: Annotated[float, Field(ge=0, le=0.5)] = 0.0625


class RetrainConfig(Section):
    """When a new model replaces the one in service, and how long a step may take.

    Attributes:
        metric: by which two models are compared, image by image.
        max_drop: the new model must be shown, with 95 % confidence, to lose less than this; 0 asks for a gain.
        warm_start: where a domain only grew, go on from the model in service.
        warm_epochs: the length of such a training.
        timeout_h: longest time, in hours, for one step of one domain, and for waiting for another run.
    """

    metric: Literal["dice", "iou", "s_measure"]
    max_drop: Share
    warm_start: bool
    warm_epochs: PositiveInt
    timeout_h: PositiveFloat


class Params(Section):
    """All of `params.yaml`."""

    seed: Annotated[int, Field(ge=0)]
    domains: Annotated[tuple[DomainName, ...], Field(min_length=1)]
    model: ModelConfig
    quality: QualityConfig
    adapter: AdapterConfig
    search: SearchConfig
    train: TrainConfig
    merge: MergeConfig
    evaluate: EvaluateConfig
    retrain: RetrainConfig


def load_params(path: Path, overrides: Sequence[str] = ()) -> Params:
    """Read and check `params.yaml`.

    Args:
        path: the YAML file.
        overrides: settings that replace those of the file, as "train.lr=0.001"; values are YAML.

    Raises:
        ConfigError: if the file is missing or not YAML, or a key is unknown, absent or out of range.
    """
    if not path.is_file():
        raise ConfigError(f"{path} not found; run from the project's root folder, where params.yaml lies")
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is not valid YAML in UTF-8: {error}; correct it") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold settings by name, found {type(content).__name__}")
    for override in overrides:
        _apply_override(content, override)
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_explain(error, path)) from error


def _apply_override(content: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator:
        raise ConfigError(f"'{override}' is not a setting; write key=value, for example train.epochs=10")
    *parents, leaf = key.strip().split(".")
    section: Any = content
    for parent in parents:
        section = section.get(parent) if isinstance(section, dict) else None
    # A setting with a default need not be in the file.
    if not isinstance(section, dict) or not (leaf in section or _is_setting([*parents, leaf])):
        raise ConfigError(f"unknown parameter '{key}'; known: {', '.join(_leaf_names(content))}")
    try:
        section[leaf] = parse_yaml(value)
    except ValueError as error:
        raise ConfigError(f"the value of '{override}' is not valid YAML: {error}") from error


def _is_setting(path: Sequence[str]) -> bool:
    section: Any = Params
    for part in path[:-1]:
        section = section.model_fields[part].annotation if part in section.model_fields else None
        if not (isinstance(section, type) and issubclass(section, Section)):
            return False
    return path[-1] in _names_in_file(section)


def _names_in_file(section: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]


def _leaf_names(content: dict[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in content.items():
        names += _leaf_names(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return names


def _explain(error: ValidationError, path: Path) -> str:
    problems = []
    for detail in error.errors():
        key = ".".join(str(part) for part in detail["loc"])
        if detail["type"] == "extra_forbidden":
            problems.append(f"unknown parameter '{key}'; known there: {_siblings(detail['loc'])}")
        elif detail["type"] == "missing":
            problems.append(f"parameter '{key}' is missing")
        else:
            problems.append(f"parameter '{key}' is {shorten(repr(detail['input']))}: {detail['msg']}")
    return f"{path}: " + "; ".join(problems) + ". Correct it and run again."


def _siblings(location: tuple[int | str, ...]) -> str:
    section: Any = Params
    for part in location[:-1]:
        section = section.model_fields[str(part)].annotation
    return ", ".join(_names_in_file(section))
