"""A few lines that stand for billions of values are refused at once; usual aliases and references stay allowed."""

import time

import pytest

from prunebert.errors import BadInput
from prunebert.settings import expansion, overrides

TEN = 10


def aliases(levels: int) -> str:
    """Return YAML whose last line stands for 10 ** levels values."""
    lines = ["a0: &a0 x"]
    lines += [f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * TEN)}]" for n in range(levels)]
    return "\n".join(lines) + "\n"


def references(levels: int) -> list[str]:
    """Return words whose last one stands for 10 ** levels values."""
    lists = [",".join([f"${{r{n}}}"] * TEN) for n in range(levels)]
    return ["+r0=1", *(f"+r{n + 1}=[{items}]" for n, items in enumerate(lists))]


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Return a function that writes lab/conf/task/mine.yaml, where a search path finds it."""
    folder = tmp_path / "lab/conf/task"
    folder.mkdir(parents=True)
    for place in (tmp_path / "lab", tmp_path / "lab/conf"):
        (place / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> None:
        (folder / "mine.yaml").write_text(text)

    return write


@pytest.mark.parametrize("path", ["pkg://lab.conf", "file://lab/conf", "lab/conf"])
def test_aliases_of_a_users_own_yaml_are_counted_before_it_is_composed(lab, path):
    lab(aliases(12))
    start = time.monotonic()
    for words in ([f"hydra.searchpath=[{path}]", "task=mine"], [f"hydra.searchpath=[pkg://other,{path}]"]):
        with pytest.raises(BadInput, match=r"mine\.yaml stands for more than 100,000 values through its YAML aliases"):
            overrides.refuse_bad_words(words)
    assert time.monotonic() - start < 2
    lab(aliases(4))
    overrides.refuse_bad_words([f"hydra.searchpath=[{path}]"])


def test_the_folder_of_a_flag_is_looked_at_too(cli, lab, tmp_path):
    lab(aliases(12))
    status, printed = cli("--config-dir", "lab/conf", "task=mine", "dry=true")
    assert status == 2 and printed.count("\n") == 1 and "stands for more than 100,000 values" in printed
    assert [p.name for p in tmp_path.iterdir()] == ["lab"]


BAD_FILES = {
    "deep": ("a: &a x\nb: *a\nc: " + "[" * 200 + "]" * 200, "nested more than 100 levels deep"),
    "one long list": ("a: &a [" + "x, " * 2000 + "]\nb: [" + "*a, " * 2000 + "]", "stands for more than 100,000"),
    "merged": (aliases(5) + "a6: &m {k: *a5}\nb: {<<: *m}\nc: [" + "*m, " * 9 + "]", "stands for more than 100,000"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_other_ways_to_write_too_much(lab, name):
    text, reason = BAD_FILES[name]
    lab(text)
    with pytest.raises(BadInput, match=reason):
        expansion.refuse_files(["lab/conf"])


@pytest.mark.parametrize("text", ["a: [", "*", "a: *nothing", "\0", "a: &a 1\nb: *a", "a: '*'"])
def test_other_faults_of_a_yaml_are_left_to_hydra(lab, text):
    lab(text)
    expansion.refuse_files(["lab/conf", "pkg://there.is.none", "pkg://", "file:///no/such/folder", "\0"])


@pytest.mark.parametrize("levels", [12, 300])
def test_references_on_the_command_line_are_counted_before_they_are_resolved(cli, tmp_path, levels):
    start = time.monotonic()
    status, printed = cli("method=magnitude", "task=rotten_tomatoes", "model=tiny", *references(levels))
    assert status == 2 and printed.count("\n") == 1
    assert "it refers to other values so often that it stands for more than 100,000 values" in printed
    assert time.monotonic() - start < 20 and not list(tmp_path.iterdir())


def raw(*values):
    return {f"k{n}": value for n, value in enumerate(values)}


def test_a_long_chain_of_references_is_one_line_too():
    with pytest.raises(BadInput, match="too many steps"):
        expansion.refuse_values(raw(*(f"${{k{n + 1}}}" for n in range(9000))))


REFUSED = {
    "texts": raw("0123456789" * 100, *(f"${{k{n}}}" * 10 for n in range(8))),
    "relative": {"a": {"b": [0] * 1000, "c": ["${..b}"] * 1000}},
    "of an item": {"a": [[0] * 1000], "b": ["${a[0]}"] * 1000},
    "of a group": {"a": {"b": [0] * 1000}, "c": {f"k{n}": "${a}" for n in range(1000)}},
}
ALLOWED = {
    "itself": {"a": "${a}", "b": ["${b}", "${b}"]},
    "a resolver": {"a": "${cell:${b}}", "b": ["${oc.env:HOME}"] * 1000},
    "nothing": {"a": ["${there.is.none}"] * 1000},
    "few": {"a": [0] * 100, "b": ["${a}"] * 100},
}


@pytest.mark.parametrize("name", [*REFUSED, *ALLOWED])
def test_a_reference_counts_as_what_it_names(name):
    if name in ALLOWED:
        expansion.refuse_values(ALLOWED[name])
    else:
        with pytest.raises(BadInput, match="refers to other values so often"):
            expansion.refuse_values(REFUSED[name])


def test_hidden_folders_and_links_to_folders_are_not_entered(lab, tmp_path):
    for folder in (tmp_path / "lab/conf/.git", tmp_path / "elsewhere"):
        folder.mkdir()
        (folder / "bad.yaml").write_text(aliases(12))
    (tmp_path / "lab/conf/link").symlink_to(tmp_path / "elsewhere")
    expansion.refuse_files(["lab/conf"])
    (tmp_path / "lab/conf/task/bad.yml").write_text(aliases(12))
    with pytest.raises(BadInput, match=r"bad\.yml stands for more than 100,000 values"):
        expansion.refuse_files(["lab/conf"])


def test_only_so_many_files_of_a_folder_are_looked_at_and_none_is_too_large(lab, monkeypatch):
    lab("a: 1\n" + "#" * (1 << 20))
    with monkeypatch.context() as patch:
        patch.setattr(expansion, "SIZE", 1 << 20)
        with pytest.raises(BadInput, match=r"^hydra\.searchpath=lab/conf: .*mine\.yaml has more than 1 MiB$"):
            expansion.refuse_files(["lab/conf"])
    expansion.refuse_files(["lab/conf"])
    lab(aliases(12))
    monkeypatch.setattr(expansion, "MAX_FILES", 2)  # lab/conf has a file and a folder, and mine.yaml is in that
    expansion.refuse_files(["lab/conf"])
    monkeypatch.setattr(expansion, "MAX_FILES", 3)
    with pytest.raises(BadInput, match="stands for more than 100,000 values"):
        expansion.refuse_files(["lab/conf"])
