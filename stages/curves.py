"""Write the curves of a training while it runs: for DVC and its VS Code extension, and for TensorBoard."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from naslora_core.errors import ConfigError, PipelineError
from naslora_core.training.history import AlphaRecord, EpochRecord, OnEpoch
from stages.paths import StagePaths


@contextmanager
def curves(paths: StagePaths, domain: str, tensorboard: bool) -> Iterator[OnEpoch]:
    """Yield a function that writes each epoch when it ends; curves of an earlier run are deleted first.

    DVCLive's files are in artifacts/live/<domain>, those of TensorBoard in artifacts/tensorboard/<domain>; of a trial,
    in its own folder. Neither is an output: the curves of a finished training are in history.csv.

    Raises:
        ConfigError: if `tensorboard` is wanted and not installed.
    """
    with ExitStack() as stack:
        watchers: list[OnEpoch] = []
        if tensorboard:
            watchers.append(stack.enter_context(_tensorboard(paths.output("tensorboard", domain))))
        # Outside of a DVC project nobody could show the files, and DVCLive would turn a git repository into one.
        if any((folder / ".dvc").is_dir() for folder in (paths.root.resolve(), *paths.root.resolve().parents)):
            watchers.append(stack.enter_context(_dvclive(paths.output("live", domain))))

        def watch(epoch: EpochRecord, alphas: Sequence[AlphaRecord]) -> None:
            for tell in watchers:
                tell(epoch, alphas)

        yield watch


@contextmanager
def _dvclive(folder: Path) -> Iterator[OnEpoch]:
    from dvclive import Live

    # The pipeline's dvc.yaml declares the folder, and dvc exp run makes the experiments: Live only writes. An
    # interrupted run logs all its epochs again, so that no step can be missing or double.
    try:
        live = Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None)
    except Exception as error:
        # By its name, as the class belongs to a package that DVC, not this project, depends on.
        if all(kind.__name__ != "SCMError" for kind in type(error).__mro__):
            raise
        raise PipelineError(f"DVCLive asks git for the last commit, and finds none ({error}); commit once") from error
    with live:

        def watch(epoch: EpochRecord, alphas: Sequence[AlphaRecord]) -> None:
            live.step = epoch.epoch
            for name, value in _scalars(epoch).items():
                live.log_metric(name, value)
            live.next_step()

        yield watch


@contextmanager
def _tensorboard(folder: Path) -> Iterator[OnEpoch]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            "train.tensorboard is true, but TensorBoard is not installed; add it with "
            "pip install -c constraints.txt -e '.[tensorboard]', or set it to false"
        ) from error
    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder)) as writer:

        def watch(epoch: EpochRecord, alphas: Sequence[AlphaRecord]) -> None:
            shares = {f"alphas/{one.layer}/{one.primitive}": one.weight for one in alphas}
            for name, value in (_scalars(epoch) | shares).items():
                writer.add_scalar(name, value, epoch.epoch)
            writer.flush()

        yield watch


def _scalars(epoch: EpochRecord) -> dict[str, float]:
    """Return the scalars of an epoch by name; names with a slash form a group of curves."""
    named = {
        "train/loss": epoch.train_loss,
        "train/arch_loss": epoch.arch_loss,
        "validation/dice": epoch.validation_dice,
        "lr/adapters": epoch.lr,
        "lr/decoder": epoch.decoder_lr,
        "lr/alphas": epoch.arch_lr,
        "alphas/entropy": epoch.alpha_entropy,
    }
    return {name: value for name, value in named.items() if value is not None}
