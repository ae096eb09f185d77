"""The report's sentences, computed from its numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from naslora_core.quality.verdict import Verdict
from naslora_core.report.headline import HeadlineRow
from naslora_core.report.merge import layers_sentence, merged_layers

_METHODS = {
    "none": "a trained mask decoder and no adapters",
    "neck": "a trained neck and mask decoder",
    "bitfit": "trained biases and a trained mask decoder",
    "full": "all weights trained",
    "lora": "LoRA adapters and a trained mask decoder",
    "conv_lora": "Conv-LoRA adapters and a trained mask decoder",
    "nas_lora": "NAS-LoRA adapters and a trained mask decoder",
    "nas_pc_lora": "NAS-PC-LoRA adapters and a trained mask decoder",
}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SERVED, BASELINE = "merged", "base"


def method_words(method: str) -> str:
    """Describe what `adapter.method` trains."""
    return _METHODS.get(method, f"{method.removeprefix('peft:')} adapters and a trained mask decoder")


def opening(rows: Sequence[HeadlineRow]) -> str:
    """Return the opening sentence: what adapting changed, over all domains."""
    domains = list(dict.fromkeys(row.domain for row in rows))
    base, merged = (_mean_dice(rows, model) for model in (BASELINE, SERVED))
    where = "the test images" if len(domains) == 1 else f"{len(domains)} domains"
    return (
        f"Mean Dice on {where} goes from {base:.3f} for SAM as pre-trained, without prompts, "
        f"to {merged:.3f} for the adapted and merged model."
    )


def _mean_dice(rows: Sequence[HeadlineRow], model: str) -> float:
    return _mean([row.scores["dice"].mean for row in rows if row.model == model])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def gain_sentence(summary: dict[str, Any]) -> str:
    """Return by how much the merged model differs from the base, and whether the interval excludes zero."""
    gain = summary["gain"][SERVED]["dice"]
    if gain["low"] > 0:
        verdict = "The merged model is better: the interval lies above zero."
    elif gain["high"] < 0:
        verdict = "The merged model is worse: the interval lies below zero."
    else:
        verdict = "The interval includes zero, so these images cannot tell the two apart."
    images = summary["images"]
    return (
        f"On {images} unseen image{'' if images == 1 else 's'} the merged model differs from the base "
        f"by {signed(gain['mean'])} Dice (95 % interval {signed(gain['low'])} to {signed(gain['high'])}, "
        f"paired). {verdict}"
    )


def service_sentence(service: Mapping[str, Any]) -> str:
    """Compare the model in service with this page's candidate, and state the decision."""
    gap, current = service["difference"], service["serving"]
    promoted = service["decision"] == "promoted"
    return (
        f"In service {'was' if promoted else 'is'} {current['version']} with Dice {current['dice']['mean']:.3f} on the "
        f"same images; the candidate, {service['candidate']['version']}, differs from it by {signed(gap['mean'])} "
        f"({signed(gap['low'])} to {signed(gap['high'])}, paired) and was "
        f"{'put into service' if promoted else 'not put into service'}: {service['reason']}"
    )


def heat_sentence(heat: Sequence[Mapping[str, Any]]) -> str:
    """Return what share of each model's Grad-CAM heat lies on the foreground."""
    shares = {model: _mean([entry["inside"][model] for entry in heat]) for model in heat[0]["inside"]}
    said = " and ".join(f"{100 * share:.1f} % of the heat of the {model} model" for model, share in shares.items())
    truth = 100 * _mean([entry["truth_share"] for entry in heat])
    return f"On these images {said} lies on the true foreground, which covers {truth:.1f} % of them."


def verdict_sentence(verdict: Verdict) -> str:
    """State the gate's verdict, and on which data."""
    splits = ", ".join(f"{count} {split}" for split, count in verdict.pairs_per_split.items())
    warnings = len(verdict.of_severity("warning"))
    word = "accepted" if verdict.passed else "rejected"
    remark = "no warning" if warnings == 0 else "1 warning" if warnings == 1 else f"{warnings} warnings"
    return (
        f"The gate {word} {verdict.pairs} image and mask pairs ({splits}): "
        f"{verdict.expectations_run} of {verdict.expectations_expected} expectations checked, {remark}."
    )


def gate_sentence(adapter: dict[str, Any]) -> str:
    """Warn that the model was trained on data the gate had not passed; "" where it had."""
    reason = adapter.get("gate", "passed")
    return "" if reason == "passed" else f" The model was trained without its pass, {reason}."


def certificate_sentences(certificate: dict[str, Any]) -> list[str]:
    """Describe the certificate: what merging changed, as measured."""
    before, after = certificate["validation_dice_before"], certificate["validation_dice_after"]
    agreement = certificate["mask_agreement"]
    masks = "every pixel" if agreement == 1 else f"{floor_percent(agreement)} of the pixels"
    word = "passed" if certificate["passed"] else "did not pass"
    by_layer = layers_sentence(merged_layers(certificate))
    return [
        f"The merge ({certificate['mode']}) {word} its check: {certificate['reason']}",
        *([by_layer] if by_layer else []),
        f"Before and after it, the model marks {masks} of {certificate['images']} validation images alike.",
        f"The largest difference of any logit is {scientific(certificate['max_logit_difference'])}, "
        f"{scientific(certificate['relative_logit_difference'])} of the largest logit.",
        f"Dice on the validation images is {before:.4f} before and {after:.4f} after it, "
        f"a difference of {signed(after - before, 4)}.",
    ]


def training_sentence(history: pd.DataFrame, training: dict[str, Any], method: str, seconds: float | None) -> str:
    """Describe the training: what was trained, for how long if that is known, and which epoch was kept."""
    epochs = len(history)
    return (
        f"{epochs} epoch{'' if epochs == 1 else 's'}{'' if seconds is None else f' in {duration(seconds)}'} "
        f"for {method_words(method)}. The weights of epoch {training['best_epoch']}, the best by validation Dice, "
        f"were kept. {training['trainable_parameters']:,} parameters were trained, "
        f"{training['adapter_parameters']:,} of them in adapters; the base model has "
        f"{training['total_parameters']:,}."
    )


def learning_sentence(history: pd.DataFrame) -> str:
    """Describe the learning curve, as its alternative text."""
    dice = history.set_index("epoch")["validation_dice"]
    loss = history["train_loss"]
    return (
        f"Training loss goes from {loss.iloc[0]:.3f} to {loss.iloc[-1]:.3f}, "
        f"validation Dice from {dice.iloc[0]:.3f} to {dice.iloc[-1]:.3f}; "
        f"it is highest, {dice.max():.3f}, after epoch {dice.idxmax()}."
    )


def duration(seconds: float) -> str:
    """Return a time span in seconds, minutes or hours."""
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    if seconds < 6000:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def signed(value: float, decimals: int = 3) -> str:
    """Return a difference with its sign (a true minus sign); a rounded zero has none."""
    text = f"{abs(value):.{decimals}f}"
    if float(text) == 0:
        return text
    return f"{'+' if value > 0 else '−'}{text}"


def scientific(value: float) -> str:
    """Return a number with two significant digits, as 2.3 × 10⁻⁵ where it is small."""
    text = f"{value:.1e}"
    mantissa, exponent = text.split("e")
    if value == 0 or abs(int(exponent)) < 3:
        return f"{value:.2g}"
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def floor_percent(share: float) -> str:
    """Return a share below 1 as a percentage that never rounds up to 100."""
    return f"{int(share * 1e6) / 1e4:.4f}".rstrip("0").rstrip(".") + " %"
