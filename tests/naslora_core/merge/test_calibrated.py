import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from naslora_core.adapted.state import find_adapters
from naslora_core.data.prepared.batches import spread_rows
from naslora_core.merge import calibrated
from naslora_core.merge.calibrated import calibrate
from naslora_core.merge.exact import exact
from naslora_core.merge.fitting import passes
from naslora_core.merge.fitting.moments import Moments, input_of
from naslora_core.merge.fitting.neck import refit_neck
from naslora_core.merge.fold import fold
from naslora_core.sam.build import build_sam, normalise
from naslora_core.sam.segmenter import PromptFreeSegmenter


def test_the_fit_is_the_least_squares_solution_however_the_tokens_come():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(60, 5)), rng.normal(size=(60, 3))
    prior, ridge = rng.normal(size=(3, 5)), 0.1
    # Ridge regression towards a prior is plain least squares with one more row for each input channel.
    penalty = np.sqrt(ridge * np.mean(x**2) * len(x))
    wanted = np.linalg.lstsq(np.vstack([x, penalty * np.eye(5)]), np.vstack([t, penalty * prior.T]), rcond=None)[0].T
    for parts in ([60], [10, 49, 1]):
        moments = Moments(5, 3, torch.device("cpu"))
        for inputs, outputs in zip(torch.tensor(x).split(parts), torch.tensor(t).split(parts), strict=True):
            moments.add(inputs, outputs)
        np.testing.assert_allclose(moments.fit(torch.tensor(prior), ridge), wanted, rtol=1e-9, atol=1e-12)


def test_where_the_tokens_say_nothing_the_prior_stays():
    moments = Moments(4, 2, torch.device("cpu"))
    x = torch.randn(50, 4)
    x[:, 3] = 0
    truth, prior = torch.randn(2, 4), torch.randn(2, 4).double()
    moments.add(x, x @ truth.t())
    fitted = moments.fit(prior, 1e-9)
    torch.testing.assert_close(fitted[:, 3], prior[:, 3])
    torch.testing.assert_close(fitted[:, :3].float(), truth[:, :3], rtol=1e-4, atol=1e-5)


def test_what_a_matrix_leaves_unexplained_is_measured_where_it_is_added():
    rng = np.random.default_rng(1)
    x, t, up = rng.normal(size=(40, 5)), rng.normal(size=(40, 3)), rng.normal(size=(7, 3))
    weight = rng.normal(size=(3, 5))
    moments = Moments(5, 3, torch.device("cpu"))
    moments.add(torch.tensor(x), torch.tensor(t))
    wanted = np.square((t - x @ weight.T) @ up.T).sum() / np.square(t @ up.T).sum()
    assert moments.unexplained(torch.tensor(weight), torch.tensor(up)) == pytest.approx(wanted)
    assert moments.unexplained(torch.tensor(weight), torch.zeros(7, 3, dtype=torch.float64)) == 0


def test_moments_of_many_channels_are_the_products_of_all_pairs():
    x, t = np.random.default_rng(2).normal(size=(2, 30, 300))
    moments = Moments(300, 3, torch.device("cpu"))
    for rows in (slice(0, 20), slice(20, 30)):
        moments.add(torch.tensor(x[rows]), torch.tensor(t[rows, :3]))
    np.testing.assert_allclose(moments.xx.numpy(), x.T @ x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(moments.tx.numpy(), t[:, :3].T @ x, rtol=1e-12, atol=1e-12)


def test_images_seen_in_bf16_calibrate_as_those_seen_in_float32(adapted_sam, prepared):
    sam, _ = adapted_sam
    found, wanted = (calibrate(sam, prepared, 5, 1e-3, precision=precision) for precision in ("bf16", "fp32"))
    images = torch.from_numpy(prepared.images.copy()).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits, *after = (PromptFreeSegmenter(model)(images) for model in (sam, found.sam, wanted.sam))
        with torch.autocast("cpu", torch.bfloat16):
            rounding = (PromptFreeSegmenter(sam)(images) - logits).square().mean()
    of_bf16, of_fp32 = ((one - logits).square().mean() for one in after)
    # What it costs is little beside what seeing images in bf16 costs whoever uses the model so.
    assert of_bf16 <= 1.02 * of_fp32 + 0.1 * rounding
    for of_bf16_layer, of_fp32_layer in zip(found.layers, wanted.layers, strict=True):
        assert of_bf16_layer.unexplained == pytest.approx(of_fp32_layer.unexplained, rel=0.02)
    assert all(value.dtype == torch.float32 for value in found.sam.state_dict().values())


def test_calibration_rows_are_evenly_spaced_and_none_twice():
    assert spread_rows(range(100), 4, 8) == [[0, 25, 50, 75]]
    assert sum(spread_rows(range(10), 99, 8), []) == list(range(10))
    assert [len(rows) for rows in spread_rows(range(1000), 20, 8)] == [8, 8, 4]


def tokens(model, name, prepared):
    images = torch.from_numpy(prepared.images.copy()).permute(0, 3, 1, 2)
    layer = model.get_submodule(name)
    with torch.no_grad():
        x = input_of(layer, PromptFreeSegmenter(model), images)
    return x, layer


@pytest.mark.parametrize("index", [0, 1])
def test_each_layer_is_fitted_to_what_it_sees_behind_merged_layers(adapted_sam, prepared, index, monkeypatch):
    monkeypatch.setattr(calibrated, "_BATCH_SIZE", 2)
    sam, adapters = adapted_sam
    name = list(adapters)[index]
    merged = calibrate(sam, prepared, count=5, ridge=1e-8)
    # The layers before it are merged, the layer itself still has its adapter.
    x, _ = tokens(merged.sam, name, prepared)
    adapter = adapters[name]
    with torch.no_grad():
        t = adapter.branch(F.linear(x, adapter.lora_A))
    wanted = np.linalg.lstsq(x.flatten(0, -2).double().numpy(), t.flatten(0, -2).double().numpy(), rcond=1e-9)[0].T
    fitted = merged.factors[name].down.numpy()

    def error(matrix, inputs):
        return float((t.flatten(0, -2).numpy() - inputs.flatten(0, -2).numpy() @ matrix.T).std())

    # The ridge, small as it is, costs a little where tokens hardly vary.
    assert error(fitted, x) <= 1.01 * error(wanted, x)
    if index:
        unmerged, _ = tokens(sam, name, prepared)
        assert (unmerged - x).abs().max() > 1e-4


def test_a_calibrated_merge_loses_less_than_dropping_what_is_off_centre(adapted_sam, prepared):
    sam, adapters = adapted_sam
    merged, dropped = calibrate(sam, prepared, 5, 1e-3).sam, fold(sam).sam
    with torch.no_grad():
        for name in adapters:
            dropped.get_submodule(name).get_parameter("fold_kernel_0_1").zero_()
        images = torch.from_numpy(prepared.images.copy()).permute(0, 3, 1, 2)
        wanted, found, rough = (PromptFreeSegmenter(model)(images) for model in (sam, merged, dropped))
    assert (found - wanted).square().mean() < 0.5 * (rough - wanted).square().mean()


def test_a_pointwise_cell_is_calibrated_to_its_exact_merge(adapted_sam, prepared):
    sam, adapters = adapted_sam
    for adapter in adapters.values():
        for mixture in adapter.mixed_ops().values():
            mixture.set_time(temperature=1, pressure=float("inf"))
    found, wanted = calibrate(sam, prepared, 3, 1e-3), exact(sam)
    for name, update in wanted.factors.items():
        torch.testing.assert_close(found.factors[name].down, update.down, rtol=1e-3, atol=1e-4)


def test_calibration_changes_neither_the_model_nor_upstreams_keys(adapted_sam, prepared):
    sam, adapters = adapted_sam
    before = {key: value.clone() for key, value in sam.state_dict().items()}
    seen = []
    merged = calibrate(sam, prepared, 3, 1e-3, lambda done, total, _: seen.append((done, total)))
    assert list(merged.sam.state_dict()) == list(build_sam("sam_tiny").state_dict())
    assert all(torch.equal(before[key], value) for key, value in sam.state_dict().items())
    assert find_adapters(sam) == adapters
    assert seen == [(done, 9) for done in range(1, 10)]


def test_the_neck_is_fitted_to_what_it_answered_behind_the_unmerged_blocks(adapted_sam, prepared):
    sam, _ = adapted_sam
    merged = calibrate(sam, prepared, 5, 1e-3).sam
    unfitted = copy.deepcopy(merged)
    unfitted.image_encoder.neck.load_state_dict(sam.image_encoder.neck.state_dict())
    images = torch.from_numpy(prepared.images.copy()).permute(0, 3, 1, 2)
    with torch.no_grad():
        wanted, fitted, before = (model.image_encoder(normalise(model, images)) for model in (sam, merged, unfitted))
    assert (before - wanted).square().mean() > 1e-6
    assert (fitted - wanted).square().mean() < 0.8 * (before - wanted).square().mean()


def test_a_convolution_is_fitted_to_its_own_patches(adapted_sam, prepared):
    sam, _ = adapted_sam
    other = copy.deepcopy(sam)
    with torch.no_grad():
        other.image_encoder.neck[2].weight.normal_(std=0.1)
    images = [torch.from_numpy(prepared.images.copy()).permute(0, 3, 1, 2)]
    refit_neck(sam, other, images, ridge=1e-9)
    torch.testing.assert_close(
        sam.image_encoder(normalise(sam, images[0])),
        other.image_encoder(normalise(sam, images[0])),
        rtol=1e-2,
        atol=1e-2,
    )


def test_the_neck_is_fitted_alike_whether_its_inputs_are_kept_or_computed_again(adapted_sam, prepared, monkeypatch):
    sam, _ = adapted_sam
    folded = fold(sam).sam
    torch.nn.init.normal_(folded.image_encoder.neck[0].weight, std=0.05)
    images = torch.from_numpy(prepared.images.copy()).permute(0, 3, 1, 2).split(2)
    necks = []
    # Of three batches, the first has 2 x 256 tokens of 192 channels: three quarters of 2^19 bytes.
    for room in (2**27, 2**19):
        monkeypatch.setattr(passes, "_KEPT_BYTES", room)
        fitted = copy.deepcopy(folded)
        refit_neck(fitted, sam, images, 1e-3)
        necks.append(fitted.image_encoder.neck.state_dict())
    assert not torch.equal(necks[0]["0.weight"], folded.image_encoder.neck[0].weight)
    assert all(torch.equal(necks[0][key], value) for key, value in necks[1].items())
