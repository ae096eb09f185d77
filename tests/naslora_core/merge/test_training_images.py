import pytest

from naslora_core.errors import CheckpointError
from naslora_core.files import write_json
from naslora_core.merge.merged import CONFIG_FILE, FORMAT
from naslora_core.merge.training_images import class_names, read_training, stored_reading

NOTES = {"format": FORMAT, "model": "sam_tiny", "mode": "exact", "classes": 2, "image_size": 256}
FACTS = {"median_side_px": 400, "largest_side_px": 640, "classes": ["leaf", "stem"]}


def test_facts_on_the_training_images_come_from_model_json(tmp_path):
    write_json(tmp_path / CONFIG_FILE, {**NOTES, "origin": {"training_images": FACTS}})
    assert read_training(tmp_path).tile_side((640, 1281)) == 400
    assert read_training(tmp_path).tile_side((640, 1280)) is None
    assert class_names(tmp_path) == ("leaf", "stem")


def test_older_models_without_facts_have_classes_by_number(tmp_path):
    write_json(tmp_path / CONFIG_FILE, {**NOTES, "origin": {}})
    assert read_training(tmp_path) is None
    assert class_names(tmp_path) == ("class_1", "class_2")
    assert stored_reading(tmp_path) is None


@pytest.mark.parametrize(
    ("facts", "named"), [({"classes": ["leaf"]}, "median_side_px"), ({**FACTS, "classes": 7}, "classes"), ([], "dict")]
)
def test_damaged_facts_are_named_with_the_file(tmp_path, facts, named):
    write_json(tmp_path / CONFIG_FILE, {**NOTES, "origin": {"training_images": facts}})
    with pytest.raises(CheckpointError, match=rf"{CONFIG_FILE} cannot be read \(.*{named}.*; merge again: run stage"):
        read_training(tmp_path)
