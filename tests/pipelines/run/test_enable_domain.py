from pathlib import Path

import pytest

from naslora_core.errors import ConfigError
from pipelines.run.enable_domain import enable_domain


def test_one_line_is_added_and_every_other_byte_stays(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    text = "# all\nseed: 7\ndomains:\n  - a # first\n  - b # last\n\nmodel:\n  lr: 1.0e-3 # é\n"
    path.write_text(text, encoding="utf-8")
    assert enable_domain(path, "c")
    assert path.read_text(encoding="utf-8") == text.replace("# last\n", "# last\n  - c\n")
    assert not enable_domain(path, "c")


def test_a_list_on_one_line_grows(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("domains: [a, b] # which\nseed: 7\n")
    assert enable_domain(path, "c")
    assert path.read_text() == "domains: [a, b, c] # which\nseed: 7\n"


def test_a_list_at_the_end_of_the_file_grows(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("seed: 7\ndomains:\n- a")
    assert enable_domain(path, "b")
    assert path.read_text() == "seed: 7\ndomains:\n- a\n- b\n"


@pytest.mark.parametrize(("text", "message"), [("seed: 7\n", "no list 'domains'"), ("a: [", "not valid YAML")])
def test_a_file_without_the_list_is_refused_and_kept(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        enable_domain(path, "c")
    assert path.read_text() == text
