"""The page in a real browser: it works, complains of nothing, and asks nobody for anything."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from naslora_core.config import load_params
from naslora_core.report.page import write_report
from naslora_core.report.sources import Folders, read_results

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="neither chromium nor chrome is installed")

# Notes what goes wrong from the first line of the page on.
LISTEN = """<script>
const wrong = [];
addEventListener("error", (event) => wrong.push(event.message));
addEventListener("securitypolicyviolation", (event) => wrong.push(event.violatedDirective));
console.error = console.warn = (...words) => wrong.push(words.join(" "));
</script>"""
# Does what a reader does, and writes what came of it into the page.
DRIVE = """<script>
const tools = document.querySelector(".tools"), lens = document.querySelector(".lens");
const visible = () => [...document.querySelectorAll(".case")].filter((one) => one.offsetParent !== null);
const set = (name, value) => {
  tools.elements[name].value = value;
  tools.dispatchEvent(new Event("change"));
  return visible().map(({ dataset }) => ({ ...dataset }));
};
const said = () => lens.querySelector(".caption").textContent;
const press = (target, key) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const found = { first: visible().length, all: set("kind", "") };
for (const order of ["lowest", "highest", "gain", "size", "name"]) found[order] = set("order", order);
found.worst = set("kind", "worst");
set("kind", "");
found.polyp = set("domain", "polyp");
const panel = visible()[0].querySelector(".panel");
press(panel, "Enter");
found.opened = [lens.matches(":modal"), said(), lens.querySelectorAll(".view use").length];
press(lens, "ArrowRight");
found.right = said();
press(lens, "ArrowDown");
found.down = said();
// The page's own listener, which gives the focus back, was there first.
lens.addEventListener("close", () => {
  found.focused = document.activeElement.closest("figure") === visible()[1];
  found.overflow = document.documentElement.scrollWidth - innerWidth;
  found.requests = performance.getEntriesByType("resource").map(({ name }) => name.slice(0, 80));
  const textContent = JSON.stringify({ ...found, wrong });
  document.body.append(Object.assign(document.createElement("pre"), { id: "found", textContent }));
});
lens.close();
</script>"""


@pytest.fixture(scope="module")
def page(write_stages: Callable[[Path, str, str], Folders], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    params = load_params(Path(__file__).parents[3] / "params.yaml")
    folders = {name: write_stages(root / "artifacts", name, "lora") for name in ("leaf", "polyp")}
    for of_domain in folders.values():
        gallery = of_domain.evaluate / "gallery.json"
        entries = json.loads(gallery.read_text(encoding="utf-8"))
        for place, entry in enumerate(entries, start=1):
            # The made up model is right everywhere, which gives nothing to sort.
            entry["dice"]["merged"] = 0.3 * place
        gallery.write_text(json.dumps(entries), encoding="utf-8")
    results = [read_results(name, of_domain) for name, of_domain in folders.items()]
    write_report(root / "report", results, params)
    return root / "report" / "index.html"


def open_page(file: Path, width: int, home: Path) -> tuple[str, str]:
    """Return the page as the browser has it in the end, and what was written to its console."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--enable-logging=stderr"]
    options += ["--virtual-time-budget=4000", f"--user-data-dir={home}", "--dump-dom", file.as_uri()]
    done = subprocess.run([str(BROWSER), *options], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.fixture(scope="module")
def found(page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a reader with a narrow screen finds; the page's own rule against foreign scripts is lifted for ours."""
    text = page.read_text(encoding="utf-8")
    text, lifted = re.subn(r"script-src 'sha256-[^']+'", "script-src 'unsafe-inline'", text)
    assert lifted == 1
    text = text.replace("<title>", LISTEN + "<title>").replace("</body>", DRIVE + "</body>")
    file = tmp_path_factory.mktemp("driven") / "index.html"
    file.write_text(text, encoding="utf-8")
    dom, _ = open_page(file, 500, tmp_path_factory.mktemp("home"))
    match = re.search(r'<pre id="found">(.*?)</pre>', dom, flags=re.DOTALL)
    assert match, "the script of the test did not come to its end"
    return dict(json.loads(html.unescape(match[1])))


def test_the_script_is_the_one_that_the_page_allows(page: Path, tmp_path: Path):
    dom, console = open_page(page, 1440, tmp_path)
    assert console == ""
    assert re.search(r'<form class="tools"[^>]*>', dom)
    assert not re.search(r'<form class="tools"[^>]*hidden', dom)


def test_nothing_goes_wrong_and_nothing_is_asked_for(found: dict[str, Any]):
    assert found["wrong"] == []
    assert all(name.startswith("data:") for name in found["requests"])


def test_one_image_of_each_kind_is_shown_first_and_all_on_demand(found: dict[str, Any]):
    assert found["first"] == len(found["all"]) == 6
    assert {one["case"] for one in found["all"]} == {"worst", "median", "best"}


@pytest.mark.parametrize(
    ("order", "key", "sign"),
    [("lowest", "dice", 1), ("highest", "dice", -1), ("gain", "gain", -1), ("size", "share", 1)],
)
def test_images_can_be_sorted(order: str, key: str, sign: int, found: dict[str, Any]):
    values = [sign * float(one[key]) for one in found[order]]
    assert values == sorted(values)
    assert len(set(values)) > 1


def test_images_can_be_sorted_by_name_and_filtered(found: dict[str, Any]):
    names = [one["name"] for one in found["name"]]
    assert names == sorted(names)
    assert [one["case"] for one in found["worst"]] == ["worst", "worst"]
    assert [one["domain"] for one in found["polyp"]] == ["polyp"] * 3


def test_a_picture_opens_large_and_arrow_keys_lead_on(found: dict[str, Any]):
    is_modal, caption, parts = found["opened"]
    assert is_modal
    assert parts > 0
    assert caption.startswith("image · Test image")
    assert found["right"].startswith("truth · ")
    assert found["down"].startswith("truth · ")
    assert found["down"] != found["right"]
    assert found["focused"]


def test_a_narrow_screen_is_never_wider_than_itself(found: dict[str, Any]):
    assert found["overflow"] <= 0
