"""Links in data/, which DVC follows in some places and passes over in others."""

import shutil
from pathlib import Path

import pytest

from naslora_core.config import load_params
from naslora_core.errors import DataError
from pipelines.run.inputs import require_inputs
from tests.stages.drawn import DOMAIN, draw_project


@pytest.mark.parametrize("linked", [DOMAIN, f"{DOMAIN}/masks"])
def test_a_linked_folder_in_data_is_refused_before_dvc_stores_a_version_without_it(linked: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    params = load_params(root / "params.yaml", draw_project(root))
    folder, elsewhere = root / "data" / linked, tmp_path / "disk"
    shutil.move(folder, elsewhere)
    folder.symlink_to(elsewhere)
    with pytest.raises(DataError, match=f"data/{linked} is a link to {elsewhere}") as refused:
        require_inputs(root, params, [DOMAIN])
    assert f"cp -rL {elsewhere} data/{linked}" in str(refused.value)

    folder.unlink()
    shutil.move(elsewhere, folder)
    shutil.move(root / "data", elsewhere)
    (root / "data").symlink_to(elsewhere)
    require_inputs(root, params, [DOMAIN])
