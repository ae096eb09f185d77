"""What an import, the gate and preprocessing take, of real photographs and of very many small images."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.against.commands import run_python
from benchmarks.against.compare import Comparison, Sample, Target, take_turns
from benchmarks.against.earlier import ROOT, unpack
from benchmarks.against.row import Options, Row

_IMPORT = ["-c", "from pipelines.cli.app import main; main()", "data", "import"]
_STEPS = ("import", "validate", "preprocess")
# Kvasir-SEG has so many pairs, of so many pixels.
_REAL, _PAIRS, _SIDE_PX = "kvasir-seg", 1000, 352
_SMALL_PX = 64
_MANY = 100_000


def _import_and_gate(options: Options) -> Comparison:
    if options.data is None:
        data, layout = options.folder / "drawn", "folder"
        draw_pairs(data, _PAIRS, _SIDE_PX, "jpg")
    else:
        data, layout = next(place for place in (options.data / _REAL, options.data) if place.is_dir()), "kvasir"
    before = unpack(options.before, options.folder / "before")

    def measure(code: Path, place: Path) -> Sample:
        return _sum(list(run_steps(code, place, data, layout, options.threads, _STEPS[:2]).values()))

    places = {code: options.folder / f"project-{name}" for name, code in (("ours", ROOT), ("before", before))}
    found = take_turns(
        lambda: measure(ROOT, places[ROOT]), {"before": lambda: measure(before, places[before])}, options.rounds
    )
    outputs = [place / "artifacts" / "validate" / "pairs" for place in places.values()]
    same = [len({(folder / file).read_bytes() for folder in outputs}) == 1 for file in ("clearance.json", "verdict.md")]
    said = "the same" if all(same) else "NOT the same"
    return replace(found, notes=[f"data: {data.name}; verdict and clearance: {said}"])


def _many(options: Options) -> Comparison:
    """Compare many pairs, once, with so many times the median of a thousand; and change one image afterwards."""
    few, many = options.folder / "few", options.folder / "many"
    draw_pairs(few, _PAIRS, _SMALL_PX, "png")
    draw_pairs(many, _MANY, _SMALL_PX, "png")
    rounds = [
        run_steps(ROOT, options.folder / "project-few", few, "folder", options.threads) for _ in range(options.rounds)
    ]
    middle = {step: sorted((one[step] for one in rounds), key=lambda sample: sample.cpu_s)[len(rounds) // 2]
              for step in _STEPS}  # fmt: skip
    times = _MANY // _PAIRS
    expected = {step: Sample(one.wall_s * times, one.cpu_s * times, one.peak_mib) for step, one in middle.items()}
    place = options.folder / "project-many"
    seen = run_steps(ROOT, place, many, "folder", options.threads)
    first, extrapolated = _sum(list(seen.values())), _sum(list(expected.values()))
    notes = [f"{step}: {seen[step].cpu_s:.1f} CPU s of {expected[step].cpu_s:.1f}, peak {seen[step].peak_mib:.0f} MiB"
             for step in _STEPS]  # fmt: skip
    image = place / "data" / "pairs" / "images" / "p000007.png"
    pixels = np.array(Image.open(image))
    pixels[:8, :8] ^= 1
    Image.fromarray(pixels).save(image)
    again = [run_python(_stage(step), ROOT, place, options.threads) for step in _STEPS[1:]]
    share = _sum(again).cpu_s / first.cpu_s
    notes.append(f"one changed image later: {_sum(again).cpu_s:.1f} CPU s, {share:.1%} of the first time")
    return Comparison([first], {f"{times} x {_PAIRS} pairs": [extrapolated]}, notes)


def draw_pairs(folder: Path, count: int, side: int, kind: str) -> None:
    """Draw `count` images of one disc each, and its mask, as files of a `kind` that Pillow knows by its suffix."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    for number in range(count):
        texture = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        image: np.ndarray = np.asarray(texture.resize((side, side), Image.Resampling.BICUBIC)).astype(np.int16)
        row, column = rng.integers(side // 4, side * 3 // 4, 2)
        disc = (rows - row) ** 2 + (columns - column) ** 2 < rng.integers(side // 10, side // 4) ** 2
        image = np.where(disc[..., None], 255 - image, image) + rng.integers(-10, 11, (side, side, 1))
        name = f"p{number:06d}.{kind}"
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "images" / name, compress_level=1)
        Image.fromarray(disc.astype(np.uint8) * 255).save(folder / "masks" / name, compress_level=1)


def run_steps(
    code: Path, place: Path, data: Path, layout: str, threads: int, steps: tuple[str, ...] = _STEPS
) -> dict[str, Sample]:
    """Import a folder into a new project in `place`, check and preprocess it; return what each step took.

    Images are prepared at 64 px: at the model's own 256 px, the arrays of 100,000 pairs would take 26 GB.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.copy(code / "dvc.yaml", place)
    settings = (code / "params.yaml").read_text(encoding="utf-8")
    settings = settings.replace("image_size: native", f"image_size: {_SMALL_PX}")
    (place / "params.yaml").write_text(settings, encoding="utf-8")
    commands = {"import": [*_IMPORT, layout, str(data.resolve()), "--name", "pairs"]}
    commands |= {step: _stage(step) for step in _STEPS[1:]}
    return {step: run_python(commands[step], code, place, threads) for step in steps}


def _stage(name: str) -> list[str]:
    return ["-m", f"stages.{name}", "--domain", "pairs"]


def _sum(samples: list[Sample]) -> Sample:
    walls, cpus = (sum(getattr(one, field) for one in samples) for field in ("wall_s", "cpu_s"))
    return Sample(walls, cpus, max(one.peak_mib for one in samples))


ROWS = {
    "import_gate_1000": Row(
        "import and gate of 1,000 pairs of 352 px", "the commit before", (Target("cpu", 0.6),), _import_and_gate
    ),
    "scale_100000": Row(
        f"import, gate and preprocessing of {_MANY:,} pairs of 64 px, once",
        "so many times what 1,000 take",
        (Target("cpu", 1.1), Target("memory", 1024, is_ratio=False)),
        _many,
    ),
}
