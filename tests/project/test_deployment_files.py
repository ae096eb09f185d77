"""prefect.yaml and compose.yaml say what the code does, and publish nothing beyond this machine."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipelines.flow.deploy import DATA_CHANGED, resource_of

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = YAML(typ="safe").load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
SERVICES = YAML(typ="safe").load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_a_deployment_starts_a_flow_that_exists_with_its_parameters(deployment):
    file, _, name = deployment["entrypoint"].partition(":")
    functions = {
        node.name: node for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)
    }
    assert set(deployment["parameters"]) <= {argument.arg for argument in functions[name].args.args}
    assert deployment["work_pool"]["name"] == f"naslora-{deployment['name']}"


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_a_deployment_waits_for_the_event_that_the_watcher_emits(deployment):
    (trigger,) = deployment["triggers"]
    assert trigger["expect"] == [DATA_CHANGED]
    pattern = trigger["match"]["prefect.resource.id"]
    assert pattern.endswith("*")
    assert resource_of(Path("/any/project")).startswith(pattern[:-1])


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_published_on_this_machine_only(service):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", ()))


@pytest.mark.parametrize("place", ["Dockerfile", "prefect.yaml"])
def test_nothing_phones_home(place):
    text = (ROOT / place).read_text(encoding="utf-8")
    for setting in ("DO_NOT_TRACK", "DVC_NO_ANALYTICS", "PREFECT_SERVER_ANALYTICS_ENABLED"):
        assert setting in text
