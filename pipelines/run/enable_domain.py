"""Enable a domain in params.yaml, keeping comments."""

from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from naslora_core.errors import ConfigError
from naslora_core.files import atomic_file
from naslora_core.reading import measure_yaml


def enable_domain(params: Path, domain: str) -> bool:
    """Add `domain` to the list `domains` of params.yaml; all else stays as it is.

    Returns:
        Whether the file changed: False if the domain was in the list already.

    Raises:
        ConfigError: if the file is missing, not YAML, or has no list `domains`.
    """
    if not params.is_file():
        raise ConfigError(f"{params} not found; run from the project's root folder, where params.yaml lies")
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 4096
    editor.indent(mapping=2, sequence=4, offset=2)
    try:
        text = params.read_text(encoding="utf-8")
        measure_yaml(text)
        content = editor.load(text)
    except (YAMLError, ValueError) as error:
        raise ConfigError(f"{params} is not valid YAML in UTF-8: {error}; correct it") from error
    found = content.get("domains") if isinstance(content, dict) else None
    if not isinstance(found, list):
        raise ConfigError(f"{params} has no list 'domains'; add one, for example: domains: [{domain}]")
    domains: Any = found  # ruamel's list, which knows its place in the text
    if domain in domains:
        return False
    lines = text.splitlines(keepends=True)
    if domains.fa.flow_style() or not domains:
        domains.append(domain)
        output = StringIO()
        editor.dump(content, output)
        changed = output.getvalue()
    else:
        # A round trip would put the item after the blank line that ends the list; a line of text does not.
        line, column = domains.lc.item(len(domains) - 1)
        last = lines[line] if lines[line].endswith("\n") else lines[line] + "\n"
        changed = "".join([*lines[:line], last, f"{last[:column]}{domain}\n", *lines[line + 1 :]])
    with atomic_file(params) as temporary:
        temporary.write_text(changed, encoding="utf-8")
    return True
