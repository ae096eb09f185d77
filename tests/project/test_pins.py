"""Versions that install together but do not work together are found here, not by users."""


def test_the_prefect_server_starts():
    from prefect.server.api.server import create_app

    assert create_app() is not None


def test_torchvision_finds_its_operators():
    import torch
    import torchvision

    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.9]])
    assert torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0]
