import hashlib
import os
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor, sam_model_registry
from segment_anything.modeling import Sam

from naslora_core.adapted.attach import add_adapters
from naslora_core.config import ModelConfig
from naslora_core.errors import CheckpointError, ConfigError
from naslora_core.sam import checkpoint, precision
from naslora_core.sam import segmenter as segmenter_file
from naslora_core.sam.build import WithoutRandomWeights, build_sam, normalise
from naslora_core.sam.checkpoint import checkpoint_sha256, load_base
from naslora_core.sam.decode import decode_masks
from naslora_core.sam.mapped import mapped_ranges
from naslora_core.sam.segmenter import PromptFreeSegmenter, segment_in_turns
from naslora_core.sam.specs import MODEL_SPECS
from naslora_core.sam.weights import read_metadata, read_weights, save_weights


def test_vit_b_has_exactly_upstreams_parameters():
    with torch.device("meta"):
        ours, upstream = build_sam("vit_b"), sam_model_registry["vit_b"]()
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in upstream.state_dict().items()}


def test_a_batch_is_decoded_as_upstream_decodes_its_images_one_by_one():
    torch.manual_seed(0)
    sam = build_sam("sam_tiny")
    embeddings = torch.randn(3, 128, 16, 16)
    points = torch.tensor([[[30.0, 40.0]], [[200.0, 10.0]], [[5.0, 250.0]]])
    sparse, dense = sam.prompt_encoder((points, torch.ones(3, 1)), None, None)
    image_pe = sam.prompt_encoder.get_dense_pe()
    with torch.no_grad():
        masks, quality = decode_masks(sam.mask_decoder, embeddings, image_pe, sparse, dense)
        for row in range(3):
            part = slice(row, row + 1)
            expected = sam.mask_decoder.predict_masks(embeddings[part], image_pe, sparse[part], dense[part])
            torch.testing.assert_close(masks[part], expected[0], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(quality[part], expected[1], rtol=1e-4, atol=1e-5)


def test_masks_without_prompts_have_the_gradients_of_upstreams_decoder():
    torch.manual_seed(0)
    sam = build_sam("sam_tiny")
    decoder, pe, dense = sam.mask_decoder, sam.prompt_encoder.get_dense_pe(), torch.randn(1, 128, 1, 1)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    embeddings = torch.randn(2, 128, 16, 16, requires_grad=True)
    learning = {name: value for name, value in decoder.named_parameters() if "iou_prediction" not in name}
    ours = decode_masks(decoder, embeddings, pe, None, dense)[0]
    nothing = torch.zeros(1, 0, 128)
    theirs = torch.cat([decoder.predict_masks(one, pe, nothing, dense)[0] for one in embeddings.split(1)])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    wanted = torch.randn_like(theirs)
    found = (torch.autograd.grad((wanted * masks).sum(), [embeddings, *learning.values()]) for masks in (ours, theirs))
    for name, own, other in zip(["embeddings", *learning], *found, strict=True):
        # Of sums over some thousand places, in another order.
        largest = float(other.abs().max())
        assert largest > 0
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4 * max(1.0, largest), msg=name)
    first = decode_masks(decoder, embeddings, pe, None, dense, count=1)[0]
    torch.testing.assert_close(first, theirs[:, :1], rtol=1e-4, atol=1e-4)


def test_the_segmenter_gives_the_logits_of_sam_predictor_without_prompts(images):
    torch.manual_seed(0)
    sam: Sam = build_sam("sam_tiny")
    predictor = SamPredictor(sam)
    predictor.set_image(images[0].permute(1, 2, 0).numpy())
    low_res = predictor.predict(multimask_output=False)[2]
    with torch.no_grad():
        ours = PromptFreeSegmenter(sam)(images[:1])[0].numpy()
    assert np.abs(ours).max() > 1e-3
    np.testing.assert_allclose(ours, low_res, rtol=1e-4, atol=1e-4)


def test_normalising_agrees_with_sams_own_preprocessing(images):
    sam = build_sam("sam_tiny")
    torch.testing.assert_close(normalise(sam, images), sam.preprocess(images))


def test_an_unknown_model_lists_the_known():
    with pytest.raises(ConfigError, match="unknown model 'vit_x'; known: sam_tiny, vit_b"):
        build_sam("vit_x")


@pytest.mark.parametrize("image_size", ["native", 64])
def test_a_base_that_stays_in_its_file_is_the_same(model, image_size):
    config = model.model_copy(update={"image_size": image_size})
    expected, sam = load_base(config), load_base(config, mapped=True)
    assert sam.state_dict().keys() == expected.state_dict().keys()
    assert all(torch.equal(value, expected.state_dict()[key]) for key, value in sam.state_dict().items())
    in_file = [
        any(low <= parameter.data_ptr() < high for low, high in mapped_ranges())
        for parameter in (sam.image_encoder.blocks[0].mlp.lin1.weight, sam.mask_decoder.iou_token.weight)
    ]
    assert in_file == [True, False]


def test_no_weights_are_drawn_for_a_base_that_has_all():
    def after(parameters_are_drawn: bool) -> torch.Tensor:
        torch.manual_seed(0)
        with nullcontext() if parameters_are_drawn else WithoutRandomWeights():
            build_sam("sam_tiny")
        return torch.get_rng_state()

    torch.manual_seed(0)
    # The decoder's places are a buffer, not a parameter.
    torch.randn(2, 64)
    expected = torch.get_rng_state()
    assert torch.equal(after(False), expected)
    assert not torch.equal(after(True), expected)


def test_a_base_is_loaded_strictly(model, tmp_path):
    weights = read_weights(model.checkpoint)
    key = "mask_decoder.iou_token.weight"
    assert torch.equal(load_base(model).state_dict()[key], weights[key])
    del weights[key]
    save_weights(tmp_path / "part.safetensors", weights, {})
    with pytest.raises(CheckpointError, match="1 keys missing .*iou_token.*segment-anything, 8 blocks"):
        load_base(model.model_copy(update={"checkpoint": tmp_path / "part.safetensors"}))


def test_the_same_weights_and_notes_make_the_same_file(tmp_path):
    notes = {name: f'"{name}" é\n' for name in ("format", "model", "mode", "épreuve")}
    weights = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(2, dtype=torch.float16)}
    written = set()
    for number in range(8):
        save_weights(path := tmp_path / f"{number}.safetensors", weights, notes)
        written.add(path.read_bytes())
    assert len(written) == 1
    assert read_metadata(path) == notes
    torch.testing.assert_close(read_weights(path), weights)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit_b", r"vit_b expects sam_vit_b_\*.pth from github.com/facebookresearch/segment-anything; docs/models.md"),
        ("mobile_sam", "expects mobile_sam.pt from github.com/ChaoningZhang/MobileSAM"),
        (
            "sam2_hiera_base_plus",
            "sam2.1_hiera_base_plus.pt in it, from huggingface.co/facebook/sam2.1-hiera-base-plus",
        ),
        ("sam_tiny", "run 'dvc pull models/sam_tiny.safetensors.dvc'"),
        ("sam3_mini", "nobody has trained sam3_mini"),
    ],
)
def test_a_missing_base_says_what_is_expected_and_where_it_is(tmp_path, name, expected):
    with pytest.raises(CheckpointError, match=rf"nothing.pth not found; .*{expected}"):
        load_base(ModelConfig(name=name, checkpoint=tmp_path / "nothing.pth", image_size="native", precision="fp32"))


def test_every_published_model_says_where_and_under_which_name():
    published = {name for name, spec in MODEL_SPECS.items() if spec.source}
    assert published == {name for name in MODEL_SPECS if name != "sam_tiny" and not name.endswith("_mini")}
    assert {name for name, spec in MODEL_SPECS.items() if spec.files} == published | {"sam_tiny"}


def test_an_official_file_with_wrong_content_is_recognised(tmp_path):
    path = tmp_path / "sam_vit_b_01ec64.pth"
    torch.save({}, path)
    with pytest.raises(CheckpointError, match="its name says 01ec64"):
        load_base(ModelConfig(name="vit_b", checkpoint=path, image_size="native", precision="fp32"))


def test_a_name_of_six_letters_is_no_hash(tmp_path):
    path = tmp_path / "sam_vit_b_leaves.pth"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="look like no family known here"):
        load_base(ModelConfig(name="vit_b", checkpoint=path, image_size="native", precision="fp32"))


def test_a_weight_file_is_hashed_once_and_again_when_it_changes(tmp_path, monkeypatch):
    read = []

    def sha256(path):
        read.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(checkpoint, "file_sha256", sha256)
    path, other = tmp_path / "sam.pth", tmp_path / "other.pth"
    path.write_bytes(b"weights")
    assert checkpoint_sha256(path) == checkpoint_sha256(path) == hashlib.sha256(b"weights").hexdigest()
    assert read == ["sam.pth"]
    # Of the same size, and replaced with the same time.
    other.write_bytes(b"WEIGHTS")
    written = path.stat().st_mtime_ns
    os.utime(other, ns=(written, written))
    other.replace(path)
    assert checkpoint_sha256(path) == hashlib.sha256(b"WEIGHTS").hexdigest()
    # Of the same size, and written in place.
    path.write_bytes(b"w e i g")
    os.utime(path, ns=(written, written + 1))
    assert checkpoint_sha256(path) == hashlib.sha256(b"w e i g").hexdigest()
    assert read == ["sam.pth"] * 3


def test_code_in_a_weight_file_is_never_run(tmp_path):
    marker = tmp_path / "ran"

    class Payload:
        def __reduce__(self):
            return (marker.touch, ())

    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Payload(), protocol=2))
    with pytest.raises(CheckpointError, match="evil.pth cannot be read"):
        read_weights(path)
    assert not marker.exists()


@pytest.mark.parametrize(("has_bf16", "auto"), [(True, "bf16"), (False, "fp32")])
def test_the_precision_is_decided_by_the_processor_and_said(monkeypatch, has_bf16, auto):
    monkeypatch.setattr(precision, "has_fast_bf16", lambda device: has_bf16)
    cpu = torch.device("cpu")
    assert precision.describe_precision("auto", cpu).startswith(f"{auto} on cpu (auto: ")
    assert precision.describe_precision("fp32", cpu) == "fp32 on cpu (as model.precision says)"
    with precision.autocast("auto", cpu):
        assert torch.is_autocast_enabled("cpu") == has_bf16


def test_gradient_checkpointing_gives_the_same_gradients_from_less_memory(base_file, adapter, search):
    def kept_bytes_and_gradients(gradient_checkpointing):
        sam = load_base(
            ModelConfig(
                name="sam_tiny",
                checkpoint=base_file,
                image_size="native",
                precision="fp32",
                gradient_checkpointing=gradient_checkpointing,
            )
        )
        add_adapters(sam, adapter, search, seed=3)
        images = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))
        kept = 0

        def keep(tensor):
            nonlocal kept
            kept += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = sam.image_encoder(images).square().mean()
        loss.backward()
        return kept, {name: p.grad for name, p in sam.named_parameters() if p.grad is not None}

    all_kept, gradients = kept_bytes_and_gradients(False)
    few_kept, recomputed = kept_bytes_and_gradients(True)
    assert few_kept < all_kept / 5
    assert gradients.keys() == recomputed.keys()
    assert gradients
    for name, gradient in gradients.items():
        torch.testing.assert_close(recomputed[name], gradient, msg=name)


def test_images_in_turns_have_the_masks_they_have_together(monkeypatch):
    segmenter, images = PromptFreeSegmenter(build_sam("sam_tiny", 64)).eval(), torch.randint(0, 256, (5, 3, 64, 64))
    sizes: list[int] = []
    segmenter.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    together = segment_in_turns(segmenter, images)
    monkeypatch.setattr(segmenter_file, "_PIXELS_IN_TURN", 2 * 64 * 64 + 1)
    in_turns = segment_in_turns(segmenter, images)
    assert sizes == [5, 2, 2, 1]
    assert not in_turns.requires_grad
    torch.testing.assert_close(in_turns, together, rtol=0, atol=1e-4)
