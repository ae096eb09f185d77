import numpy as np

from naslora_core.data.dataset.card import IGNORED_ID, MOST_CLASSES
from naslora_core.data.dataset.ignored import foreground_share, is_foreground, without_ignored

IDS = np.array([[0, 1, 2, IGNORED_ID], [MOST_CLASSES, 0, IGNORED_ID, 0]], dtype=np.uint8)


def test_foreground_is_what_is_of_a_class_and_neither_background_nor_ignored():
    assert is_foreground(IDS).tolist() == [[False, True, True, False], [True, False, False, False]]


def test_ignored_pixels_become_background_and_are_told():
    ids, ignored = without_ignored(IDS)
    assert ids.tolist() == [[0, 1, 2, 0], [MOST_CLASSES, 0, 0, 0]]
    assert ids.dtype == np.uint8
    assert ignored is not None
    assert np.argwhere(ignored).tolist() == [[0, 3], [1, 2]]


def test_ids_without_ignored_pixels_are_handed_back_as_they_are():
    ids = np.minimum(IDS, 3)
    same, ignored = without_ignored(ids)
    assert same is ids
    assert ignored is None


def test_the_share_is_of_what_is_labelled():
    assert foreground_share(IDS) == 3 / 6
    assert foreground_share(np.minimum(IDS, 3)) == 5 / 8
    assert foreground_share(np.full((3, 3), IGNORED_ID, dtype=np.uint8)) == 0
