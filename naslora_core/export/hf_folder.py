"""Export a merged model as a folder that Hugging Face transformers loads, without a network.

A `SamModel` is written by hand after the format of transformers 5, so that exporting does not need it.
"""

from pathlib import Path

from naslora_core.errors import MergeError
from naslora_core.export.plain_sam import PlainSam, read_plain_sam
from naslora_core.export.tracker_folder import NAMES, describe_tracker, tracker_lines
from naslora_core.export.usage import hf_lines, in_python
from naslora_core.files import atomic_directory, write_json
from naslora_core.sam.layouts.hugging_face import to_hugging_face
from naslora_core.sam.specs import TrackerSpec, ViTSpec, find_spec
from naslora_core.sam.weights import save_weights

WEIGHTS_FILE, CONFIG_FILE, PROCESSOR_FILE, CARD_FILE = (
    "model.safetensors",
    "config.json",
    "preprocessor_config.json",
    "README.md",
)
FILES = (WEIGHTS_FILE, CONFIG_FILE, PROCESSOR_FILE, CARD_FILE)
# SAM's pixel_mean and pixel_std in 0..255, as transformers counts: in 0..1.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CARD = """---
library_name: transformers
tags: [segment-anything, mask-generation]
---

# Segment Anything, adapted with naslora

{name} at {size} px, adapted and merged: an ordinary model of its family. It was made from the checkpoint with the
SHA-256 {sha256}.

```python
{load}
```

Without prompts and with `multimask_output=False` it gives the masks it was trained for.
"""


def export_hf_folder(merged: Path, output: Path) -> str:
    """Write a merged model as a folder for `SamModel.from_pretrained` and `SamProcessor.from_pretrained`, atomically.

    Of a SAM 2 it is for `Sam2Model`, of a SAM 3 for `Sam3TrackerModel`, without a processor: theirs squash images.
    Tensors are those of the model, bit for bit, by transformers' names. A detail path is left out, and a comment in the
    lines says what that costs.

    Args:
        merged: what stage merge wrote.
        output: the folder; replaced if it exists.

    Returns:
        The lines of Python that segment a photo with it.

    Raises:
        CheckpointError: if files are missing, damaged or of another version.
        MergeError: if the model is not an ordinary SAM; of another image size it may be.
    """
    plain = read_plain_sam(merged, any_image_size=True)
    spec = find_spec(plain.name, plain.image_size)
    if isinstance(spec, TrackerSpec):
        rename, config, processor = NAMES[type(spec)].rename, describe_tracker(spec), None
        load = tracker_lines(spec, plain.head, output)
    elif isinstance(spec, ViTSpec):
        rename, processor = to_hugging_face, describe_processor(plain.image_size)
        config = describe_model(plain.name, plain.image_size)
        load = f"sam = SamModel.from_pretrained({in_python(output)}).eval()"
        load = hf_lines(plain.head, plain.image_size, load, in_python(output))
    else:
        raise MergeError(
            f"{merged} is a {plain.name}, and SamModel of transformers has the encoder of vit_b, vit_l and vit_h; "
            "use naslora export sam, onnx or torch"
        )
    load = plain.comments() + load
    with atomic_directory(output) as folder:
        save_weights(
            folder / WEIGHTS_FILE, {rename(key): value for key, value in plain.weights.items()}, {"format": "pt"}
        )
        write_json(folder / CONFIG_FILE, config)
        if processor is not None:
            write_json(folder / PROCESSOR_FILE, processor)
        (folder / CARD_FILE).write_text(_card(plain, load), encoding="utf-8")
    return load


def describe_model(name: str, image_size: int) -> dict[str, object]:
    """Return the `SamConfig` of a model as transformers writes it into config.json.

    Args:
        name: a key of `MODEL_SPECS`, of a SAM with a plain vision transformer.
        image_size: side of its square input in pixels.
    """
    spec = find_spec(name, image_size)
    assert isinstance(spec, ViTSpec)
    return {
        "architectures": ["SamModel"],
        "model_type": "sam",
        "dtype": "float32",
        "vision_config": {
            "model_type": "sam_vision_model",
            "hidden_size": spec.encoder_width,
            "num_hidden_layers": spec.encoder_depth,
            "num_attention_heads": spec.encoder_heads,
            "mlp_dim": 4 * spec.encoder_width,
            "mlp_ratio": 4.0,
            "output_channels": spec.embed_channels,
            "num_pos_feats": spec.embed_channels // 2,
            "image_size": spec.image_size,
            "patch_size": spec.patch_size,
            "window_size": spec.window_size,
            "global_attn_indexes": list(spec.global_attn_indexes),
            "use_rel_pos": spec.use_rel_pos,
            "use_abs_pos": True,
            "qkv_bias": True,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-6,
        },
        "prompt_encoder_config": {
            "model_type": "sam_prompt_encoder",
            "hidden_size": spec.embed_channels,
            "image_size": spec.image_size,
            "image_embedding_size": spec.grid_size,
            "patch_size": spec.patch_size,
            "mask_input_channels": 16,
        },
        "mask_decoder_config": {
            "model_type": "sam_mask_decoder",
            "hidden_size": spec.embed_channels,
            "num_attention_heads": spec.decoder_heads,
            "mlp_dim": spec.decoder_mlp_dim,
            "num_hidden_layers": 2,
            "iou_head_hidden_dim": spec.iou_head_hidden_dim,
            "iou_head_depth": 3,
            "num_multimask_outputs": 3,
        },
    }


def describe_processor(size: int) -> dict[str, object]:
    """Return the `SamProcessor` of a model as transformers writes it into preprocessor_config.json.

    Args:
        size: side of the model's square input in pixels.
    """
    return {
        "image_processor_type": "SamImageProcessor",
        "processor_class": "SamProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"longest_edge": size},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(_MEAN),
        "image_std": list(_STD),
        "do_pad": True,
        "pad_size": {"height": size, "width": size},
        "mask_size": {"longest_edge": size // 4},
        "mask_pad_size": {"height": size // 4, "width": size // 4},
    }


def _card(plain: PlainSam, load: str) -> str:
    return _CARD.format(name=plain.name, size=plain.image_size, sha256=plain.base_sha256, load=load)
