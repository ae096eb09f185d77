"""What the source never does: unpickle, start a shell, unpack blindly, evaluate text, listen to the world."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("naslora_core", "stages", "pipelines", "benchmarks")
FILES = sorted(str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*.py"))

MODULES = frozenset({"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "xml"})
CALLS = frozenset(
    {"eval", "exec", "compile", "os.system", "os.popen", "pd.read_pickle", "pandas.read_pickle", "torch.hub.load",
     "shutil.unpack_archive", "tempfile.mktemp", "yaml.load", "yaml.unsafe_load", "np.fromfile", "input"}
)  # fmt: skip
# What one file may import: it refuses the document types for which XML is unsafe (test_cvat.py).
ALLOWED = {"naslora_core/data/importers/drawn/readers/safe_xml.py": "imports xml.etree"}
METHODS = frozenset({"extractall", "extract", "read_pickle", "to_pickle"})


def faults(source: str) -> list[str]:
    """Say what of a source text is forbidden here, as "line what"."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [f"{node.lineno} imports {name}" for name in names if name.split(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            found += [f"{node.lineno} {fault}" for fault in _call_faults(node)]
        elif isinstance(node, ast.Constant) and node.value in ("0.0.0.0", "::"):
            found.append(f"{node.lineno} listens to every network")
    return found


def _call_faults(call: ast.Call) -> list[str]:
    name = ast.unparse(call.func)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    return [
        fault
        for fault, there in (
            (f"calls {name}", name in CALLS or name.rpartition(".")[2] in METHODS),
            ("starts a shell", given.get("shell", "False") != "False"),
            ("unpickles", given.get("allow_pickle", "False") != "False"),
            ("may unpickle an array", name in ("np.load", "numpy.load") and given.get("allow_pickle") != "False"),
            ("may unpickle a checkpoint", name == "torch.load" and given.get("weights_only") != "True"),
            ("builds what YAML asks for", name == "YAML" and given.get("typ") in ("'unsafe'", "'full'")),
            ("runs words that a shell would divide", name in _RUNNERS and _is_text(call)),
            ("renders names as HTML", name == "jinja2.Environment" and given.get("autoescape") != "True"),
        )
        if there
    ]


_RUNNERS = ("subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_output")


def _is_text(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant | ast.JoinedStr)


@pytest.mark.parametrize("file", FILES)
def test_the_source_keeps_to_what_is_safe(file: str) -> None:
    found = faults((ROOT / file).read_text(encoding="utf-8"))
    assert [fault for fault in found if fault.partition(" ")[2] != ALLOWED.get(file)] == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "subprocess.run(words, shell=True)",
        "subprocess.run(f'dvc {name}')",
        "os.system('ls')",
        "archive.extractall(folder)",
        "YAML(typ='unsafe')",
        "eval(text)",
        "jinja2.Environment(loader=loader)",
        "serve(host='0.0.0.0')",
    ],
)
def test_the_test_sees_what_is_not(line: str) -> None:
    assert faults(line)


SCRIPTS = sorted(str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*.js"))
# What makes markup or code of a text, which may be somebody's name for a file.
MARKUP = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|eval|Function|srcdoc|"
    r"parseFromString|DOMParser|setHTML\w*)\b|\bset(?:Timeout|Interval)\(\s*[\"'`]"
)


@pytest.mark.parametrize("file", SCRIPTS)
def test_no_script_of_a_page_makes_markup_of_a_text(file: str) -> None:
    assert MARKUP.findall((ROOT / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("line", ["title.innerHTML = name", "eval(name)", "setTimeout('go()', 1)", "frame.srcdoc = a"])
def test_the_test_sees_markup(line: str) -> None:
    assert MARKUP.search(line)


def test_dvc_yaml_puts_nothing_of_the_users_into_a_shell() -> None:
    """DVC runs commands by a shell; a domain's name is the only text in them, and has no letter a shell knows."""
    from pydantic import TypeAdapter, ValidationError

    from naslora_core.config import DomainName

    for name in ("a b", "a;b", "$(id)", "-rf", "../a", "a\nb", "a'b", "ａ", "", "a|b", "`id`", "A"):
        with pytest.raises(ValidationError):
            TypeAdapter(DomainName).validate_python(name)
    assert TypeAdapter(DomainName).validate_python("leaf_lesions-2") == "leaf_lesions-2"
