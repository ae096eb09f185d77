from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from naslora_core.bench.unet import train
from naslora_core.bench.unet.network import UNetPredictor, build_unet, normalise, require_monai
from naslora_core.bench.unet.train import UNetSettings, mean_dice, train_best_rate, train_unet
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.errors import ConfigError, DataError

QUICK = UNetSettings(seconds=1.0, lr=0.003, seed=1, crop_px=64, batch_size=4, precision="fp32")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "leaf_lesions"
    generate_domain("leaf_lesions", root, count=12, seed=1)
    return read_dataset(root)


@pytest.fixture
def on_cpu(monkeypatch):
    monkeypatch.setattr(train, "best_device", lambda: torch.device("cpu"))


class Colours(nn.Module):
    """The logits of a pixel are its own colours, wherever it lies in a tile: a class for each of the first channels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.classes = classes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape[2] % 16 == images.shape[3] % 16 == 0
        return self.weight * images[:, : self.classes]


@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize("shape", [(50, 130), (48, 48), (20, 30), (97, 31)])
def test_tiles_give_what_the_whole_image_gives(classes, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    (found,) = UNetPredictor(Colours(classes), 48, None, "fp32")([image])
    logits = normalise(torch.from_numpy(image).permute(2, 0, 1)[:classes] / 255)
    several = torch.cat([torch.zeros(1, *shape), logits]).softmax(dim=0)[1:]
    expected = logits[0].sigmoid() if classes == 1 else several
    assert found.shape == (shape if classes == 1 else (classes, *shape))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_flips_are_averaged_for_it_as_for_its_rival():
    class Places(nn.Module):
        """The logit of a pixel is its column."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, images):
            return self.weight * torch.arange(images.shape[3]).expand(len(images), 1, *images.shape[2:])

    predictor = UNetPredictor(Places(), 64, None, "fp32")
    image = np.zeros((32, 48, 3), np.uint8)
    logits = [torch.logit(torch.from_numpy(one([image])[0])) for one in (predictor, predictor.using("horizontal"))]
    torch.testing.assert_close(logits[0][:, :8], torch.arange(8.0).expand(32, 8), atol=1e-3, rtol=0)
    assert logits[1].min() == logits[1].max()


def test_a_shrunk_image_is_predicted_at_its_own_size():
    image = np.full((60, 120, 3), 255, np.uint8)
    (found,) = UNetPredictor(Colours(1), 48, 48, "fp32")([image])
    assert found.shape == (60, 120)
    np.testing.assert_allclose(found, torch.sigmoid(normalise(torch.ones(1))).item(), atol=1e-5)


def test_the_network_has_half_a_million_parameters_and_logits_of_the_images_size():
    network = build_unet(3, "instance")
    assert 450_000 < sum(weight.numel() for weight in network.parameters()) < 550_000
    assert network(torch.zeros(2, 3, 64, 48)).shape == (2, 3, 64, 48)


def test_without_monai_the_message_says_how_to_have_it(monkeypatch):
    monkeypatch.setattr("naslora_core.bench.unet.network.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'naslora\[bench\]'"):
        require_monai()


def test_it_learns_and_keeps_to_its_time(dataset, on_cpu):
    splits = dataset.of_split("train"), dataset.of_split("validation")
    settings = [replace(QUICK, lr=rate) for rate in (1e-9, QUICK.lr)]
    trained = train_best_rate(*splits, dataset.card, settings)
    assert trained.settings.lr == QUICK.lr
    # A step more or less is a quarter of a second where others compute, too.
    assert trained.seconds < QUICK.seconds + 0.5
    assert trained.steps > 3
    assert trained.checks[-1][0] <= trained.seconds
    assert trained.validation_dice > 0.1
    assert trained.parameters == sum(weight.numel() for weight in build_unet(1, "instance").parameters())


def test_the_best_check_is_kept(dataset, on_cpu, monkeypatch):
    scores = iter([0.0, 0.3, 0.8])
    weights = []

    def measure(predict, held, classes):
        weights.append({name: value.clone() for name, value in predict._network.state_dict().items()})
        return next(scores, 0.5)

    monkeypatch.setattr(train, "mean_dice", measure)
    splits = dataset.of_split("train"), dataset.of_split("validation")
    trained = train_unet(*splits, dataset.card, QUICK)
    # The first measurement finds out how long one takes, the last is of the weights that were kept.
    assert trained.checks[1][1] == 0.8
    assert all(weights[-1][name].equal(value) for name, value in weights[2].items())
    assert not all(weights[-1][name].equal(value) for name, value in weights[-2].items())


def test_dice_of_nothing_found_where_nothing_is_is_one():
    class Blind:
        def __call__(self, images):
            return [np.zeros(image.shape[:2], np.float32) for image in images]

    empty, full = np.zeros((8, 8), np.uint8), np.ones((8, 8), np.uint8)
    image = np.zeros((8, 8, 3), np.uint8)
    assert mean_dice(Blind(), [(image, empty)], 1) == 1
    assert mean_dice(Blind(), [(image, empty), (image, full)], 1) == 0.5


def test_without_validation_images_nothing_can_be_chosen(dataset):
    with pytest.raises(DataError, match="no image to choose by"):
        train_unet(dataset.of_split("train"), (), dataset.card, QUICK)
