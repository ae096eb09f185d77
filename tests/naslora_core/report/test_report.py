import base64
import hashlib
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from naslora_core.config import Params, load_params
from naslora_core.errors import DataError
from naslora_core.report.figures.architecture import draw_architecture
from naslora_core.report.figures.learning import draw_learning
from naslora_core.report.figures.style import DARK, LIGHT, chart_style, to_svg
from naslora_core.report.page import write_report
from naslora_core.report.sources import Folders, Results, read_results

WriteStages = Callable[[Path, str, str], Folders]
DOMAINS = (("leaf", "nas_lora"), ("polyp", "none"))


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(Path(__file__).parents[3] / "params.yaml")


class Page(HTMLParser):
    """Collects what a page links to, its ids, texts and pictures without description."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.ids, self.undescribed, self.tags, self.words, self.cells = [], [], [], [], [], []
        self._skip = False
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.cells += [values] if tag == "th" else []
        self._skip = tag in ("style", "title", "script")
        self.links += [values[key] for key in ("href", "src", "xlink:href", "srcset") if values.get(key)]
        self.ids += [values["id"]] if "id" in values else []
        if (tag == "img" and not values.get("alt")) or (values.get("role") == "img" and not values["aria-label"]):
            self.undescribed.append(values)

    def handle_data(self, data):
        if not self._skip:
            self.words.append(data)


@dataclass
class Site:
    """A report over two domains, the first searched, the second adapted without adapters."""

    folders: list[Folders]
    out: Path
    text: str
    page: Page


@pytest.fixture(scope="module")
def site(write_stages: WriteStages, params: Params, tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = tmp_path_factory.mktemp("site")
    folders = [write_stages(root / "artifacts", *domain) for domain in DOMAINS]
    out = root / "report"
    write_report(out, read_all(folders), params)
    text = (out / "index.html").read_text(encoding="utf-8")
    return Site(folders, out, text, Page(text))


def read_all(folders: list[Folders]) -> list[Results]:
    return [read_results(name, folder) for (name, _), folder in zip(DOMAINS, folders, strict=True)]


def test_the_page_needs_nothing_but_itself(site: Site):
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in site.page.links)
    assert not {"link", "iframe", "object"} & set(site.page.tags)
    assert site.page.tags.count("script") == 1
    assert not re.search(r"url\((?!#)|@import", site.text)
    namespaces = {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}
    assert set(re.findall(r"https?://[^\"' <]+", site.text)) <= namespaces


def test_every_link_inside_the_page_has_its_target_and_ids_are_unique(site: Site):
    assert len(site.page.ids) == len(set(site.page.ids))
    targets = [link[1:] for link in site.page.links if link.startswith("#")]
    targets += re.findall(r"url\(#([^)]+)\)", site.text)
    assert len(targets) > 5
    assert set(targets) <= set(site.page.ids)


def test_every_picture_is_described(site: Site):
    assert site.page.undescribed == []
    assert site.page.tags.count("img") == 2 * 2 * 3
    assert site.text.count('<svg viewBox="0 0 1000') == 2 * 3 * 5
    assert "outline of what the base model marks, 50.0 % of the image" in site.text


def test_headings_follow_each_other_without_a_gap(site: Site):
    levels = [int(tag[1]) for tag in site.page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_head_of_a_table_says_what_it_is_the_head_of(site: Site):
    assert len(site.page.cells) > 50
    assert all(cell.get("scope") in ("col", "row", "rowgroup") for cell in site.page.cells)


def test_only_the_pages_own_script_may_run(site: Site):
    script = re.search(r"<script>(.*?)</script>", site.text, flags=re.DOTALL)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in site.text
    assert "default-src 'none'; img-src data:" in site.text


def test_the_same_results_give_the_same_bytes(site: Site, params: Params, tmp_path: Path):
    write_report(tmp_path / "again", read_all(site.folders), params)
    files = sorted(path.name for path in site.out.iterdir())
    charts = {
        "leaf": ("architecture", "cells", "layers", "learning", "per_image", "trajectory", "trust", "widths"),
        "polyp": ("learning", "per_image", "trust", "widths"),
    }
    pictures = [f"{domain}_{chart}.png" for domain, names in charts.items() for chart in names]
    assert files == sorted(["index.html", *pictures])
    for name in files:
        assert (site.out / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_names_from_the_data_cannot_become_markup(site: Site):
    assert "Discs &amp; &lt;dots&gt;" in site.text
    assert "masks/&lt;b&gt;.png" in site.text
    assert "<dots>" not in site.text


def test_the_numbers_on_the_page_are_those_of_the_files(site: Site):
    means = json.loads((site.folders[0].evaluate / "metrics.json").read_text(encoding="utf-8"))
    for model in ("base", "adapted", "merged"):
        for metric in means[model]:
            assert f"{means[model][metric]:.3f}" in site.page.text


@pytest.mark.parametrize(
    "part",
    [
        "naslora run",
        "dvc repro",
        "dvc metrics show",
        "0a1b" * 16,
        "warning",
        "arch_every",
        "99.9999 %",
        "4,950,000",
        "The weights of epoch 5",
        "98,304 of them in adapters",
        "conv_3x3 weighs most",
        "By size of the object",
        "BER of the set",
        "of the heat of the base model and",
        "of the heat of the adapted model lies on the true foreground",
        "1.04 times as long as the base",
        "Nothing was searched: the method none has no architecture weights",
    ],
)
def test_the_page_says(part: str, site: Site):
    assert part in site.page.text


def test_a_lora_report_of_an_ad_hoc_run_says_so(write_stages: WriteStages, params: Params, tmp_path: Path):
    results = read_results("leaf", write_stages(tmp_path, "leaf", "lora"))
    write_report(tmp_path / "report", [results], params, run="trial")
    page = Page((tmp_path / "report" / "index.html").read_text(encoding="utf-8"))
    assert "ad-hoc run trial" in page.text
    assert "the method lora has no architecture weights" in page.text


SERVICE = {
    "serving": {"version": "v3", "dice": {"mean": 0.581, "low": 0.43, "high": 0.72}},
    "candidate": {"version": "v4", "dice": {"mean": 0.599, "low": 0.452, "high": 0.741}},
    "difference": {"mean": 0.018, "low": -0.004, "high": 0.04},
    "decision": "kept",
    "reason": "the interval includes zero.",
}


def test_settings_with_which_only_one_domain_was_made_stand_beside_those_of_the_page(
    write_stages: WriteStages, params: Params, tmp_path: Path
):
    results = read_results("leaf", write_stages(tmp_path, "leaf", "nas_lora"))
    write_report(
        tmp_path / "report", [results], params, otherwise={"adapter.method": {"leaf": "lora"}, "seed": {"leaf": 9}}
    )
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert f"<td>{params.adapter.method}; leaf: lora</td>" in page
    assert f"<td>{params.seed}; leaf: 9</td>" in page


def test_the_model_in_service_stands_beside_its_candidate(write_stages: WriteStages, params: Params, tmp_path: Path):
    results = read_results("leaf", write_stages(tmp_path, "leaf", "lora"))
    write_report(tmp_path / "with", [results], params, service={"leaf": SERVICE}, made_with={"torch": "2.9.9"})
    write_report(tmp_path / "without", [results], params, service={"polyp": SERVICE})
    page, plain = (Page((tmp_path / name / "index.html").read_text(encoding="utf-8")) for name in ("with", "without"))
    assert "in service 0.581 0.430 to 0.720" in page.text
    assert "v4, differs from it by +0.018 (−0.004 to +0.040, paired) and was not put into service" in page.text
    assert "torch 2.9.9" in page.text
    assert "in service" not in plain.text


def test_a_link_leads_to_the_data_docs_where_there_are_any(write_stages: WriteStages, params: Params, tmp_path: Path):
    folders = write_stages(tmp_path / "artifacts", "leaf", "lora")
    (folders.validate / "data_docs").mkdir()
    (folders.validate / "data_docs" / "index.html").write_text("docs", encoding="utf-8")
    write_report(tmp_path / "artifacts" / "report", [read_results("leaf", folders)], params)
    page = Page((tmp_path / "artifacts" / "report" / "index.html").read_text(encoding="utf-8"))
    (link,) = [link for link in page.links if not link.startswith(("#", "data:"))]
    assert (tmp_path / "artifacts" / "report" / link).read_text(encoding="utf-8") == "docs"


@pytest.mark.parametrize(
    ("folder", "file"),
    [
        ("merge", "certificate.json"),
        ("search_train", "history.csv"),
        ("search_train", "alphas.csv"),
        ("validate", "verdict.json"),
        ("validate", "view.json"),
        ("validate", "scale/widths.json"),
        ("merge", "model.json"),
        ("evaluate", "gallery.json"),
        ("evaluate", "heat.json"),
        ("evaluate", "thresholds.csv"),
    ],
)
def test_a_missing_file_is_named(folder: str, file: str, write_stages: WriteStages, tmp_path: Path):
    folders = write_stages(tmp_path, "leaf", "nas_lora")
    (getattr(folders, folder) / file).unlink()
    with pytest.raises(DataError, match=f"{file} not found"):
        read_results("leaf", folders)


def test_damaged_files_are_named(write_stages: WriteStages, tmp_path: Path):
    folders = write_stages(tmp_path, "leaf", "nas_lora")
    certificate = folders.merge / "certificate.json"
    certificate.write_text('{"mode": "fold"}', encoding="utf-8")
    with pytest.raises(DataError, match=r"certificate\.json lacks passed"):
        read_results("leaf", folders)
    (folders.search_train / "history.csv").write_text("epoch,loss\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"history\.csv lacks the columns train_loss"):
        read_results("leaf", folders)


def test_image_names_stay_text(site: Site):
    names = {f"{index:03d}" for index in range(7)}
    assert set(read_all(site.folders)[0].per_image["name"]) == names


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_text_has_the_contrast_that_wcag_asks_for(palette: dict[str, str]):
    pairs = [(text, ground) for text in ("ink", "muted", "accent", "second") for ground in ("page", "surface")]
    for text, ground in [*pairs, ("ink", "heat")]:
        light, dark = sorted((luminance(palette[text]), luminance(palette[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_palettes_name_the_same_colours_and_none_twice():
    assert LIGHT.keys() == DARK.keys()
    assert len(set(LIGHT.values())) == len(LIGHT)


def test_charts_follow_the_colours_of_the_page(site: Site):
    results = read_all(site.folders)[0]
    with chart_style():
        svg = to_svg(draw_architecture(results.layers, results.space), "leaf")
    assert "var(--heat)" in svg
    # White and black are matplotlib's own where a style forgets a part.
    assert not set(re.findall(r"#[0-9a-f]{6}\b", svg)) - {"#000000"}
    assert "block 3 · image" in svg


def test_one_epoch_without_alphas_can_be_drawn():
    history = pd.DataFrame({"epoch": [1], "train_loss": [0.5], "arch_loss": [None], "validation_dice": [0.2]})
    with chart_style():
        assert "kept: 1" in to_svg(draw_learning(history, kept_epoch=1), "x")
