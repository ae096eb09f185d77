"""The Prefect flow: the same work, with states and a result that Prefect keeps."""

import os
from collections.abc import Iterator

import pytest

from naslora_core.errors import DataError


@pytest.fixture(scope="module")
def _prefect() -> Iterator[None]:
    from prefect.testing.utilities import prefect_test_harness

    import pipelines.flows

    assert pipelines.flows
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.mark.usefixtures("_prefect")
def test_the_flow_runs_changed_domains_then_skips_then_fails_on_bad_data(project):
    from prefect.client.orchestration import get_client

    from pipelines.flows import retrain, run_flow

    project.edit_params("merge", max_metric_drop=0.5)
    name, summary = run_flow(project.root, (), False)
    assert name == "Completed (ran discs, squares)"
    assert project.executed() == ["merge@discs", "merge@squares"]
    assert "squares" in summary

    state = retrain(str(project.root), return_state=True)
    assert (state.name, state.message) == ("Skipped", "data unchanged")
    assert state.is_completed()
    assert project.executed() == []
    with get_client(sync_client=True) as client:
        artifacts = [artifact for artifact in client.read_artifacts() if artifact.key == "headline"]
        assert any("**Ran:** discs, squares" in str(artifact.data) for artifact in artifacts)

    (project.root / "data" / "squares" / "masks" / "image_05.png").unlink()
    with pytest.raises(DataError, match="image_05"):
        run_flow(project.root, (), False)
    assert project.executed() == []


def test_telemetry_is_off_before_prefect_is_imported():
    import pipelines.flows

    assert pipelines.flows
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert os.environ["DO_NOT_TRACK"] == "1"


def test_without_a_server_prefect_writes_into_the_project_only(tmp_path, monkeypatch):
    from pipelines.prefect_settings import use_project_settings

    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", os.environ.copy())
        use_project_settings(tmp_path)
        assert os.environ["PREFECT_HOME"] == str(tmp_path / ".naslora" / "prefect")
