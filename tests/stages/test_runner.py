"""What every stage does before and after its own work."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from naslora_core.errors import DataError
from stages.runner import run_stage

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(autouse=True)
def _project(tmp_path, monkeypatch):
    shutil.copy(PARAMS, tmp_path / "params.yaml")
    (tmp_path / "data" / "leaf").mkdir(parents=True)
    (tmp_path / "data" / "leaf" / "dataset.yaml").touch()
    monkeypatch.chdir(tmp_path)


def never(domain, params, paths, progress):
    pytest.fail("the stage ran")


def failure(capsys, main, *arguments):
    with pytest.raises(SystemExit) as caught:
        run_stage(main, arguments=arguments)
    assert caught.value.code == 1
    return capsys.readouterr().err


def test_a_stage_gets_domain_settings_and_paths():
    seen = {}

    def main(domain, params, paths, progress):
        seen.update(domain=domain, lr=params.train.lr, output=paths.output("merge", domain))

    run_stage(main, arguments=["--domain", "leaf", "--run", "lr3", "--set", "train.lr=0.5"])
    assert seen == {"domain": "leaf", "lr": 0.5, "output": Path("runs/lr3/merge/leaf")}


def test_a_stage_over_all_domains_takes_no_domain():
    seen = []
    run_stage(lambda domain, *rest: seen.append(domain), needs_domain=False, arguments=[])
    assert seen == [""]


def test_an_error_of_the_stage_becomes_one_message(capsys):
    def main(domain, params, paths, progress):
        raise DataError("masks/7.png is cut short; replace it")

    assert failure(capsys, main, "--domain", "leaf") == "error: masks/7.png is cut short; replace it\n"


def test_a_full_disk_is_one_message_and_a_fault_keeps_its_traceback(capsys):
    def full(domain, params, paths, progress):
        raise OSError(28, "No space left on device", "model.safetensors")

    assert "No space left on device: 'model.safetensors'" in failure(capsys, full, "--domain", "leaf")

    def faulty(domain, params, paths, progress):
        raise OSError("broken data stream")

    with pytest.raises(OSError, match="broken data stream"):
        run_stage(faulty, arguments=["--domain", "leaf"])


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.\nmore"),
        RuntimeError("CUDA out of memory."),
        MemoryError(),
    ],
)
def test_a_lack_of_memory_names_the_settings_that_help(capsys, error):
    def greedy(domain, params, paths, progress):
        raise error

    printed = failure(capsys, greedy, "--domain", "leaf")
    assert "lower train.batch_size or model.image_size, set model.gradient_checkpointing: true" in printed
    assert "more)" not in printed


def test_sigterm_ends_a_stage_with_143_after_it_has_tidied_up(capsys):
    tidied = []

    def long(domain, params, paths, progress):
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            tidied.append(True)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:
        run_stage(long, arguments=["--domain", "leaf"])
    assert (caught.value.code, tidied) == (143, [True])
    assert "error: ended by SIGTERM; run again to go on" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_unknown_domain_is_answered_with_those_there_are(capsys):
    printed = failure(capsys, never, "--domain", "laef")
    assert "unknown domain 'laef'" in printed
    assert "domains with data: leaf" in printed


def test_settings_cannot_change_the_outputs_of_the_pipeline(capsys):
    assert "--set needs --run" in failure(capsys, never, "--domain", "leaf", "--set", "train.lr=0.5")


def test_a_switch_of_a_stage_needs_a_trial_and_becomes_a_keyword(capsys):
    seen = []

    def main(domain, params, paths, progress, force=False):
        seen.append(force)

    switches = {"force": "train anyway"}
    run_stage(main, arguments=["--domain", "leaf", "--run", "x", "--force"], switches=switches)
    run_stage(main, arguments=["--domain", "leaf", "--run", "x"], switches=switches)
    assert seen == [True, False]
    with pytest.raises(SystemExit):
        run_stage(main, arguments=["--domain", "leaf", "--force"], switches=switches)
    assert "--force needs --run NAME" in capsys.readouterr().err
    assert seen == [True, False]


def test_a_stage_seldom_looks_for_garbage_and_never_when_it_ends():
    # What is registered last runs first, so this sees what the stages have left.
    end = "lambda: print(gc.get_freeze_count() > 1000, gc.get_count()[0] < 1000)"
    program = f"import atexit, gc; atexit.register({end}); import stages; print(gc.get_threshold()[0])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["10000", "True", "True"]
