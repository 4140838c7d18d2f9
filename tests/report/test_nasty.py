"""Names that try to run, to colour or to break what shows them appear as text everywhere."""

import csv
import re
import shutil

import pandas as pd
import pytest

from prunebert.errors import visible
from prunebert.report import command, rows
from prunebert.report.collect import collect
from prunebert.report.page.page import CHARTS, SCRIPTS
from prunebert.system.names import brief, encodable

from .conftest import own_text

TEXTS = [
    '=HYPERLINK("http://x","y")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "\nx",
    "＝1",
    "'=1",
    "''-x",
    "'plain",
    "a,b",
    'a"b',
    "a\r\nb",
    "",
    "x=y",
]
NASTY = "=1+1\x1b[31m[/bold]<script>&$\\input{x}%_#^~\u202egnp.exe,\"'\ud800\x07" + "long" * 800


@pytest.mark.parametrize("text", TEXTS)
def test_no_cell_is_a_formula_and_all_are_read_back(tmp_path, text):
    table = pd.DataFrame({"method": [text], "x": [-0.5]})
    (tmp_path / "t.csv").write_bytes(rows.as_csv(table).encode())
    with (tmp_path / "t.csv").open(newline="") as stream:
        written = list(csv.reader(stream))[1]
    assert written[0][:1] not in tuple("=+-@\t\r\n＝＋－＠") or not written[0]
    names, cells = rows._csv(tmp_path / "t.csv")
    assert names == ["method", "x"] and cells == [[text, "-0.5"]]


def test_numbers_written_as_text_stay_numbers():
    assert rows.as_csv(pd.DataFrame({"=a": ["-0.5"], "b": ["+1e-3"], "c": ["-x"]})) == "'=a,b,c\n-0.5,+1e-3,'-x\n"


def test_unsafe_characters_are_shown_as_escapes():
    assert visible("a\x1b[1m\u202eb\x00\ud800é中\n") == r"a\x1b[1m\u202eb\x00\ud800é中\n"
    assert encodable("a\ud800é") == r"a\ud800é"
    long = ["x" * 500 + end for end in "ab"]
    assert len({brief(text, 100) for text in long}) == 2 and all(len(brief(text, 100)) <= 100 for text in long)
    assert brief("short", 100) == "short"


def test_one_nasty_run_is_text_everywhere(run, tmp_path):
    name = encodable(NASTY)  # a result with a lone surrogate is damaged
    changes = dict.fromkeys(("task", "model", "fit", "device", "git_commit", "distill", "command"), name)
    changes |= {"metric": name, "metrics": {name: 0.8, "=x": 0.5}, "settings": {name: name}}
    run("lab/a", name, **changes)
    run("lab/b", "magnitude", 0.9, **changes)
    shutil.move(tmp_path / "lab/a", tmp_path / "lab/=a\x1b[31m\u202e,[b]")
    report = command.write([tmp_path / "lab"], tmp_path / "out")
    texts = [(tmp_path / "out" / name).read_bytes().decode() for name in ("report.html", "tables.tex")]
    html = own_text(texts[0])
    for text in (html, texts[1]):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
    assert report.file.is_file() and html.count("<script>") == 1 + len(SCRIPTS) + len(CHARTS)
    assert r"\input{x}" not in texts[1] and max(map(len, texts[1].splitlines())) < 4000
    with (tmp_path / "out/results.csv").open(newline="", encoding="utf-8") as stream:
        assert not [cell for line in csv.reader(stream) for cell in line if re.match(r"[=+@\t\r]|-[^0-9.]", cell)]
    again = collect([tmp_path / "out/results.csv"]).runs
    assert sorted(again["method"]) == sorted([name, "magnitude"])
    assert set(again["score"]) == {0.8}
    assert len(list((tmp_path / "out/figures").iterdir())) >= 4


def test_a_column_of_whole_and_broken_numbers_stays_numeric_and_one_of_several_types_is_json(run, tmp_path):
    for seed, value in enumerate((1, 2.5)):
        run(f"lab/{seed}", seed=seed, settings={"n": value, "mixed": ["a", True][seed]})
    table = command.flatten(collect([tmp_path / "lab"]).runs)
    assert table["settings.n"].tolist() == [1, 2.5] and not any(isinstance(v, str) for v in table["settings.n"])
    assert table["settings.mixed"].tolist() == ["a", "true"]


def test_an_edited_or_malformed_cell_of_a_table_is_named_and_left_out(run, tmp_path):
    for seed in range(9):
        run(f"lab/{seed}", seed=seed)
    command_runs = collect([tmp_path / "lab"]).runs
    table = command.flatten(command_runs)
    edits = [("score", 0.3), ("sparsity", 1.5), ("seed", "two"), ("sparsity_encoder", 1.2), ("sparsity_model", -0.1)]
    edits += [("score", 0.8001), ("metrics.accuracy", 0.7999), ("score", "Infinity")]
    for row, (column, value) in enumerate(edits):
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
    (tmp_path / "results.csv").write_text(rows.as_csv(table))
    collected = collect([tmp_path / "results.csv"])
    assert collected.runs["seed"].tolist() == [8]
    reasons = {t.location.rpartition(", ")[2]: t.reason for t in collected.troubles if t.kind == "not used"}
    expected = [
        "score is 0.3, but metrics.accuracy is 0.8",
        "sparsity is 1.5",
        "seed is two",
        "sparsity_encoder is 1.2",
    ]
    expected += ["sparsity_model is -0.1", "score is 0.8001, but", "but metrics.accuracy is 0.7999", "its score is inf"]
    for row, reason in enumerate(expected, 1):
        assert reason in reasons[f"row {row}"]
