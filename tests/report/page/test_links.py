"""Links to files: relative to the page, and no name turns one into another protocol, host or place."""

import os
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from prunebert.report.page import links


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [
        ("/lab/a", "/lab/report", "../a"),
        ("/lab/report/figures/x.png", "/lab/report", "figures/x.png"),
        ("/other/a", "/lab/report", "../../other/a"),
        ("/lab", "/lab", "."),
    ],
)
def test_a_link_is_relative_to_the_page(path, folder, expected):
    assert links.to(Path(path), Path(folder)) == expected


NAMES = [
    "javascript:alert(1)",
    "evil.org:80/x",
    "a b#c?d=e&f",
    "100%",
    'q"><script>',
    "电影",
    "\udcff\n",
    "..",
    "data:,x",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_no_name_is_taken_for_a_part_of_an_address(tmp_path, name):
    """A browser resolves the link as urljoin does; it must arrive at the very path, with no query and no fragment."""
    path = tmp_path / "lab" / name
    link = links.to(path, tmp_path / "lab/report")
    address = urlsplit(urljoin((tmp_path / "lab/report/report.html").as_uri(), link))
    assert (address.scheme, address.netloc, address.query, address.fragment) == ("file", "", "", "")
    found = os.path.abspath(unquote(address.path, errors="surrogateescape"))
    assert found == os.path.abspath(path) and link.isascii() and not set(link) & set("\"'<> \n")
