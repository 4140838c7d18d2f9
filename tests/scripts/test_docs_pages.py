"""The generated pages of docs/ are those of today's docstrings, yaml files and parsers, and the site has every page."""

from pathlib import Path

import pytest
import yaml

from tests.toys import script

ROOT = Path(__file__).parents[2]
docs_pages = script("docs_pages")
METHODS = sorted(p.stem for p in (ROOT / "conf/method").glob("*.yaml"))


@pytest.fixture(scope="module")
def pages():
    return docs_pages.pages()


def test_the_committed_pages_are_the_generated_ones(pages):
    """`python scripts/docs_pages.py` writes them again."""
    assert len(pages) == len(METHODS) + 4
    assert max(len(text.splitlines()) for text in pages.values()) <= 300
    stale = [name for name, text in pages.items() if (ROOT / "docs" / name).read_text() != text]
    assert not stale, f"run python scripts/docs_pages.py: {stale}"
    generated = {f"methods/{p.name}" for p in (ROOT / "docs/methods").glob("*.md")}
    assert generated == {name for name in pages if name.startswith("methods/")}


@pytest.mark.parametrize("name", METHODS)
def test_a_card_has_all_its_parts(pages, name):
    text = pages[f"methods/{name}.md"]
    parts = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert parts[0] == "How it works" and {"Keys", "Cost", "Citation"} <= set(parts)
    assert name in ("dense", "random", "magnitude", "movement") or "Deviations from the paper and its code" in parts
    written = yaml.safe_load((ROOT / f"conf/method/{name}.yaml").read_text())
    missing = [key for key in written if key[0] != "_" and key != "defaults" and f"| `method.{key}` |" not in text]
    assert not missing
    assert f"prunebert method={name} " in text and f"[`{name}`]({name}.md)" in pages["methods/index.md"]
    assert len(text.splitlines()) <= 300


@pytest.mark.parametrize(
    ("method", "epochs", "ratio"),
    [("smp", 12, "4 times as many"), ("movement", 6, "2 times as many"), ("imp", 3, "as many"), ("abp", 2, "0.67")],
)
def test_a_card_states_the_papers_epochs(pages, method, epochs, ratio):
    """SMP 12 epochs, movement pruning 6, Chen et al. 3 in a round, AbP 2 on MNLI; plain fine-tuning has 3."""
    text = " ".join(pages[f"methods/{method}.md"].split())
    assert f"one training on MNLI has {epochs} epochs of batch" in text and f"therefore reads {ratio}" in text


def test_every_command_and_argument_is_listed(pages):
    text = pages["reference/command-line.md"] + pages["reference/commands-on-a-sub-network.md"]
    names = ("info", "status", "compare", "report", "export", "bench", "evaluate", "barrier", "transfer", "mask")
    assert [name for name in names if f"## `prunebert {name}`\n" not in text] == []
    for actions in ("`and`, `or`, `xor`, `diff`", "`import`", "`info`"):
        assert f"### `prunebert mask` {actions}\n" in text
    for argument in ("`--baseline METHOD`", "`RUN …`", "`--failed`", "`--sparse`", "`--force`", "`KEY=VALUE …`"):
        assert f"| {argument} |" in text, argument


def test_the_site_has_every_page():
    def files(node):
        items = node.values() if isinstance(node, dict) else node if isinstance(node, list) else [node]
        return [node] if isinstance(node, str) else [file for item in items for file in files(item)]

    listed = files(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")}
    assert sorted(listed) == sorted(pages) and len(pages) > 25
