import numpy as np
import pytest

from naslora_core.merge.fold import fold
from naslora_core.merge.merged import save_merged
from naslora_core.predict import Predictor
from naslora_core.sam.build import build_sam


def test_a_prediction_has_the_size_of_its_image_whatever_the_batch(model):
    predict = Predictor.base(model)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, size=(*size, 3)).astype(np.uint8) for size in [(256, 256), (120, 300), (400, 90)]]
    together = predict(images)
    assert [p.shape for p in together] == [(256, 256), (120, 300), (400, 90)]
    for image, probability in zip(images, together, strict=True):
        assert probability.dtype == np.float32
        assert probability.min() >= 0
        assert probability.max() <= 1
        np.testing.assert_allclose(predict([image])[0], probability, atol=1e-4)


def test_padding_does_not_leak_into_a_wide_image(model):
    predict = Predictor.base(model)
    wide = np.full((64, 256, 3), 128, dtype=np.uint8)
    assert predict([wide])[0].std() < predict([np.pad(wide, ((0, 192), (0, 0), (0, 0)))])[0].std() + 1


def test_a_merged_model_predicts_what_the_adapted_one_does(adapted_sam, tmp_path):
    sam, _ = adapted_sam
    save_merged(tmp_path, fold(sam), "sam_tiny", "fold", {})
    image = np.random.default_rng(1).integers(0, 256, size=(200, 150, 3)).astype(np.uint8)
    merged, adapted = Predictor.merged(tmp_path, "fp32"), Predictor(sam, "fp32")
    np.testing.assert_allclose(merged([image])[0], adapted([image])[0], atol=1e-4)
    assert np.abs(merged([image])[0] - Predictor(build_sam("sam_tiny"), "fp32")([image])[0]).max() > 1e-3
    assert merged.parameter_count == pytest.approx(adapted.parameter_count, rel=0.02)
