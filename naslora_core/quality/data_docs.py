"""Write the Data Docs of Great Expectations as pages that work offline."""

import html
import re
import shutil
from pathlib import Path
from typing import Any

_SITE = "gate"
# Style sheets, scripts and pictures from other hosts, one of which counts its readers.
_REMOTE = re.compile(
    r"<script[^>]*\bsrc=[\"']https?://[^>]*>\s*</script>|<link[^>]*\bhref=[\"']https?://[^>]*>|"
    r"<img[^>]*\bsrc=[\"']https?://[^>]*>|\burl\([\"']?https?://[^)]*\)"
)
# The scripts that remain would need those.
_NO_SCRIPTS = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"script-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'\">"
)
_RANDOM_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_TIME, _NO_TIME = re.compile(r"\b\d{8}T\d{6}\.\d{6}Z\b"), "19700101T000000.000000Z"
# The time that `quality.engine` gives every run, as Great Expectations writes it in the zone of the machine.
_LOCAL_TIME = re.compile(r"\b(?:1970-01-01|1969-12-31)([ T])\d\d:\d\d:\d\d(?:Z| ?[A-Za-z0-9+:-]*)")


def add_site(context: Any, folder: Path) -> None:
    """Set `folder` as the Data Docs site of a context; call it before validating."""
    # It would take the letters after a $ for the name of a setting.
    escaped = str(folder.resolve()).replace("$", r"\$")
    context.add_data_docs_site(
        _SITE,
        {
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": escaped},
            "show_how_to_buttons": False,
        },
    )


def as_html(value: Any) -> Any:
    """Return texts, also in lists and mappings, HTML-escaped: Great Expectations inserts them as they are."""
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, list):
        return [as_html(one) for one in value]
    return {name: as_html(one) for name, one in value.items()} if isinstance(value, dict) else value


def build_site(context: Any, folder: Path) -> None:
    """Write the pages of all validations of a context.

    They load nothing from other hosts and run no script, and the same data gives the same bytes.
    """
    context.build_data_docs(site_names=[_SITE])
    for page in (*folder.rglob("*.html"), *folder.rglob("*.css")):
        text = _REMOTE.sub("", page.read_text(encoding="utf-8")).replace("<head>", f"<head>{_NO_SCRIPTS}", 1)
        page.write_text(_reproducible(text), encoding="utf-8")
    # Fonts and animations for the style sheets and tours that are not there.
    for part in ("fonts", "images"):
        shutil.rmtree(folder / "static" / part, ignore_errors=True)


def _reproducible(page: str) -> str:
    """Return a page with random ids replaced by numbers in order, and without its time stamps."""
    ids: dict[str, str] = {}
    page = _RANDOM_ID.sub(lambda found: ids.setdefault(found.group(), f"part-{len(ids)}"), page)
    return _LOCAL_TIME.sub(r"1970-01-01\g<1>00:00:00Z", _TIME.sub(_NO_TIME, page))
