"""Read XML from untrusted files as a stream of elements; nothing is expanded, nothing is loaded."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

_CHUNK = 1 << 20


class _Elements:
    """Hands every element to functions, and refuses a document type, the only place where entities are declared."""

    def __init__(self, begin: Callable[[str, dict[str, str]], None], end: Callable[[str, str], None]) -> None:
        self._begin, self._end, self._text = begin, end, ""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ValueError("it declares a document type (DOCTYPE), which no annotation tool writes")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._text = ""
        self._begin(tag, attributes)

    def data(self, text: str) -> None:
        self._text += text

    def end(self, tag: str) -> None:
        self._end(tag, self._text.strip())
        self._text = ""

    def close(self) -> None:
        pass


def stream_xml(path: Path, begin: Callable[[str, dict[str, str]], None], end: Callable[[str, str], None]) -> None:
    """Read an XML file; `begin` gets tag and attributes of each element, `end` tag and the text that it ends with.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not XML, or declares a document type.
    """
    parser = ElementTree.XMLParser(target=_Elements(begin, end))  # noqa: S314 - refuses what is unsafe, see above
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                parser.feed(chunk)
        parser.close()
    # What a function did not find in an element is its own error, not one of the encoding.
    except KeyError:
        raise
    except (ElementTree.ParseError, LookupError) as error:
        raise ValueError(f"it is not XML: {error}") from error
