"""Refuse a stage whose inputs were made with other settings, and say how to make them with these."""

import shlex
from collections.abc import Collection, Sequence

from naslora_core.config import Params
from naslora_core.errors import ConfigError, PipelineError, few
from naslora_core.reading import read_object
from stages.fit.comparison import Comparison, Contradiction, in_yaml
from stages.fit.recorded import CLASSES, RECORDS, of_adapter, section
from stages.paths import StagePaths


def require_fit(stage: str, domain: str, params: Params, paths: StagePaths, overrides: Sequence[str] = ()) -> None:
    """Check that the inputs of a stage were made with its settings.

    Args:
        stage: a module of `stages`.
        domain: whose inputs; "" is a stage over all domains of `params`.
        params: what the stage is going to work with.
        paths: where its inputs lie.
        overrides: the settings that were given for this run alone, as "train.lr=0.001".

    Raises:
        ConfigError: if not; the message names settings, both values, the files, and the commands that prepare others.
    """
    for one in (domain,) if domain else params.domains:
        known = Comparison(one, params, paths, [text.partition("=")[0].strip() for text in overrides])
        if found := list(known.contradictions(stage)):
            raise ConfigError(_message(stage, one, found, known, overrides))
        if stage == "evaluate":
            _require_same_adapter(one, paths, overrides)
        if stage == "search_train":
            _require_own_warm_start(one, paths, known)


def _require_same_adapter(domain: str, paths: StagePaths, overrides: Sequence[str]) -> None:
    """Check that the merged model was made of the adapter beside it, which a trial may have trained anew.

    Raises:
        ConfigError: if it was made of another one.
    """
    try:
        files = [paths.source("search_train", domain) / "adapter.json", paths.source("merge", domain) / "model.json"]
        adapter, origin = read_object(files[0]), dict(read_object(files[1])["origin"])
    except (PipelineError, OSError, ValueError, LookupError, TypeError):
        return
    differing: list[str] = []
    for name in adapter.keys() & origin.keys():
        ours, theirs = (section(content, name) or {name: content[name]} for content in (adapter, origin))
        differing += [key for key in ours | theirs if ours.get(key) != theirs.get(key)]
    if differing:
        again = "naslora run" if paths.run is None else "naslora stage merge"
        where = shlex.join(["--domain", domain, *(() if paths.run is None else ("--run", paths.run))])
        raise ConfigError(
            f"{files[1]} was made of another adapter than {files[0]}: they differ in {few(sorted(differing))}. "
            f"To merge that adapter: {again} {where} {_options(overrides)}".rstrip()
        )


def _require_own_warm_start(domain: str, paths: StagePaths, known: Comparison) -> None:
    """Check that the adapter a training would go on from is one of these settings; naslora run sees to its own.

    Raises:
        ConfigError: if not.
    """
    folder = paths.warm_start(domain)
    found = [
        f"{one.setting} is {in_yaml(one.asked)}, not {in_yaml(one.recorded)}"
        for one in known.differences_in(folder / "adapter.json", of_adapter)
        if one.setting.startswith(("model.", "adapter.", "search."))
    ]
    if found:
        raise ConfigError(
            f"the training would go on from {folder / 'adapter.json'}, whose settings are others: {few(found)}. "
            f"Delete {folder} to train from the start"
        )


def _message(
    stage: str, domain: str, found: Sequence[Contradiction], known: Comparison, overrides: Sequence[str]
) -> str:
    by_setting: dict[str, list[Contradiction]] = {}
    for one in found:
        by_setting.setdefault(one.setting, []).append(one)
    said = [
        f"{setting} is {known.in_words(setting, ones[0].asked)}, but "
        + " and ".join(f"{one.file} was made with {in_yaml(one.recorded)}" for one in ones)
        for setting, ones in by_setting.items()
    ]
    kept = [f"{setting}={in_yaml(ones[0].recorded)}" for setting, ones in by_setting.items() if setting != CLASSES]
    if known.paths.run is None:
        as_made = f"; or write {few(kept)} into params.yaml to go on with what is there" if kept else ""
        return f"{'; '.join(said)}. To make it anew: naslora run --domain {domain}{as_made}"
    prepared = f"To prepare the inputs of {_shown(stage)}: {_commands(stage, domain, by_setting, known, overrides)}"
    as_made = f"\nTo go on with what is there: {_options(kept)}" if kept else ""
    return f"{'; '.join(said)}.\n{prepared}{as_made}"


def _commands(stage: str, domain: str, settings: Collection[str], known: Comparison, overrides: Sequence[str]) -> str:
    """Return the commands of all stages before this one, from the first that has other settings."""
    before = list(RECORDS)[: [*RECORDS, "report"].index(stage)]
    contradicting = [name for name in before if any(one.setting in settings for one in known.differences(name))]
    # The gate has not judged a changed card.
    first = before[0] if CLASSES in settings else contradicting[0]
    where = f"--domain {domain} --run {known.paths.run} {_options(overrides)}".rstrip()
    return " && ".join(f"naslora stage {_shown(name)} {where}" for name in before[before.index(first) :])


def _shown(stage: str) -> str:
    return stage.replace("_", "-")


def _options(settings: Sequence[str]) -> str:
    return shlex.join(part for setting in settings for part in ("--set", setting))
