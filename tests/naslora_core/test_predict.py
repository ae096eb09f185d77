import numpy as np
import pytest
import torch
from PIL import Image

from naslora_core.merge.fold import fold
from naslora_core.merge.merged import save_merged
from naslora_core.predict import Predictor
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.classes import set_class_count


def noise(*shape):
    return np.random.default_rng(1).integers(0, 256, size=(*shape, 3)).astype(np.uint8)


def test_a_prediction_has_the_size_of_its_image_whatever_the_batch(model):
    predict = Predictor.base(model)
    images = [noise(256, 256), noise(120, 300), noise(400, 90)]
    together = predict(images)
    assert [p.shape for p in together] == [(256, 256), (120, 300), (400, 90)]
    for image, probability in zip(images, together, strict=True):
        assert probability.dtype == np.float32
        assert probability.min() >= 0
        assert probability.max() <= 1
        np.testing.assert_allclose(predict([image])[0], probability, atol=1e-4)


@pytest.mark.parametrize(
    ("image_size", "shape", "inside"),
    [("native", (120, 300), (102, 256)), (192, (120, 300), (77, 192)), (192, (64, 16), (192, 48))],
)
def test_an_image_that_is_not_square_is_padded_and_not_squashed(model, image_size, shape, inside):
    sam = load_base(model.model_copy(update={"image_size": image_size}))
    seen = []
    sam.image_encoder.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0][0]))
    predict = Predictor(sam, "fp32")
    image, (height, width) = noise(*shape), inside
    assert predict([image])[0].shape == shape
    side = predict.image_size
    assert seen[0].shape == (3, side, side)
    resized = np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    expected = (torch.from_numpy(resized).permute(2, 0, 1) - sam.pixel_mean) / sam.pixel_std
    torch.testing.assert_close(seen[0][:, :height, :width], expected)
    assert not seen[0][:, height:].any()
    assert not seen[0][:, :, width:].any()


def test_a_merged_model_predicts_what_the_adapted_one_does(adapted_sam, tmp_path):
    sam, _ = adapted_sam
    save_merged(tmp_path, fold(sam), "sam_tiny", "fold", {})
    image = noise(200, 150)
    merged, adapted = Predictor.merged(tmp_path, "fp32"), Predictor(sam, "fp32")
    np.testing.assert_allclose(merged([image])[0], adapted([image])[0], atol=1e-4)
    assert np.abs(merged([image])[0] - Predictor(build_sam("sam_tiny"), "fp32")([image])[0]).max() > 1e-3
    assert merged.parameter_count == pytest.approx(adapted.parameter_count, rel=0.02)


def test_a_merged_model_of_another_image_size_needs_no_other_file(model, tmp_path):
    sam = load_base(model.model_copy(update={"image_size": 128}))
    save_merged(tmp_path, fold(sam), "sam_tiny", "fold", {})
    merged = Predictor.merged(tmp_path, "fp32")
    assert merged.image_size == 128
    np.testing.assert_array_equal(merged([noise(50, 60)])[0], Predictor(sam, "fp32")([noise(50, 60)])[0])


def test_the_probabilities_of_classes_and_background_sum_to_one(model):
    torch.manual_seed(3)
    sam = load_base(model)
    set_class_count(sam, 3)
    torch.nn.init.normal_(sam.mask_decoder.mask_tokens.weight)
    (probabilities,) = Predictor(sam, "fp32")([noise(40, 70)])
    assert probabilities.shape == (3, 40, 70)
    background = 1 - probabilities.sum(axis=0)
    assert background.min() > 0
    # The background's logit is zero, so the odds against it are the exponentials of the logits.
    logits = np.log(probabilities / background)
    assert np.abs(logits - logits.mean()).max() > 1e-3
    np.testing.assert_allclose(background, 1 / (1 + np.exp(logits).sum(axis=0)), rtol=1e-4)
