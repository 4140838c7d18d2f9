"""What is printed shows names as they are, and --out is refused before the work."""

import io
import logging

import pytest

from prunebert.errors import BadInput, bad_choice, shown, visible
from prunebert.system import console, table
from prunebert.system.table import Column

HOSTILE = ["/data/[/bert]/m", "[bold]x[/]", ":bug:", "\x1b[31mred", "a\rb", "\x9b2J", "\u202egpj.exe", "a\nb", "x\x00y"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_as_text_everywhere(name, capsys):
    console.say(f"in {name}")
    table.show([Column(name.replace("\n", "_"), [name]), Column("same", [name], shared=True)])
    table.say_facts([("fact", name)])
    printed = capsys.readouterr().out
    assert printed.count(visible(name)) >= 3
    assert all(c.isprintable() or c == "\n" for c in printed)


def test_escapes_are_those_of_python_and_other_text_stays():
    assert visible("\x1b[0m\r\n\x9b\u202e\udcff") == r"\x1b[0m\r\n\x9b\u202e\udcff"
    for text in ("ünï 中文 λ_f ≥ 0", "a·b…", "می\u200cخواهم"):
        assert visible(text) == text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_log_line_is_one_line(name):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(console.OneLine("%(levelname)s %(message)s"))
    handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "in %s", (name,), None))
    assert stream.getvalue() == f"INFO in {visible(name)}\n"


def test_values_in_messages_are_written_as_on_a_command_line():
    values = {None: "null", True: "true", "1": "'1'", "a": "a", "": "''", 0.5: "0.5", "\x1b": r"\x1b"}
    for value, text in values.items():
        assert shown(value) == text
    assert shown([None, {"a": "true"}]) == "[null, {a: 'true'}]"
    bomb = ["x"] * 9
    for _ in range(40):
        bomb = [bomb] * 9
    assert len(shown(bomb)) <= 200 and len(shown("x" * 3000)) == 200 and len(shown(10**5000)) < 50
    assert len(str(bad_choice("method", "x" * 3000, ["smp"]))) < 300


@pytest.mark.parametrize("out", ["no/such/out.json", "file/out.json", ".", "/proc/out.json", "/dev/full"])
def test_a_file_that_cannot_be_written_is_refused(out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=f"^--out={out}"):
        console.out_file(out, "{")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_the_command_did_not_write_is_refused(tmp_path, link):
    (tmp_path / "train.csv").write_text("text,label\n")
    out = tmp_path / "train.csv"
    if link:
        (out := tmp_path / "link").symlink_to(tmp_path / "train.csv")
    with pytest.raises(BadInput, match=r"was not written by this command"):
        console.out_file(str(out), '{"run": ')
    assert (tmp_path / "train.csv").read_text() == "text,label\n"


@pytest.mark.parametrize("out", ["file", "file/out", "/proc/out", "/dev/null/out"])
def test_a_folder_that_cannot_be_made_is_refused(out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=f"^--out={out} cannot be written to: "):
        console.out_folder(console.Path(out))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_can_be_written_is_left_untouched(tmp_path):
    (tmp_path / "old.json").write_text("old")
    assert console.out_file(str(tmp_path / "old.json"), "ol") and console.out_file(str(tmp_path / "new.json"), "ol")
    assert console.out_folder(tmp_path / "a/b/c") == tmp_path / "a/b/c" and console.out_file(None, "") is None
    assert [p.name for p in tmp_path.iterdir()] == ["old.json"] and (tmp_path / "old.json").read_text() == "old"


def test_a_number_and_its_noun_agree():
    numbers = {(1, "run"): "1 run", (0, "seed"): "0 seeds", (1200, "step"): "1,200 steps", (1, "matrix"): "1 matrix"}
    numbers |= {
        (2, "matrix"): "2 matrices",
        (2, "class"): "2 classes",
        (1, "class"): "1 class",
        (3, "more pair"): "3 more pairs",
    }
    assert {console.counted(*given) for given in numbers} == {*numbers.values()}
    assert all(console.counted(*given) == text for given, text in numbers.items())
