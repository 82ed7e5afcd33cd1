"""XML of others: parsed without entities, so that no file can make us expand or fetch anything."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Tree

from dubio.core.errors import InputError


def parse_xml(data: bytes, source: str | Path) -> Tree.Element:
    """Parse XML without a document type.

    Args:
        data: the file's bytes.
        source: what to call it in errors.

    Raises:
        InputError: no XML, or one that declares a document type (entities could blow up or fetch files).

    >>> parse_xml(b"<a><b/></a>", "it").tag
    'a'
    """
    parser = Tree.XMLParser(target=_Builder(source))
    try:
        parser.feed(data)
        root: Tree.Element = parser.close()
    except (Tree.ParseError, ValueError, LookupError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"is no readable XML ({error})", path=source) from error
    return root


class _Builder(Tree.TreeBuilder):
    """Builds the tree; stops at a document type, before any entity of it is used."""

    def __init__(self, source: str | Path) -> None:
        super().__init__()
        self._source = source

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise InputError("declares a document type", path=self._source, remedy="remove it from the file")
