"""From files to batches: sources, labels, and the order, length and padding of what comes out."""

import csv
import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from prunebert.errors import BadInput
from prunebert.tasks import sources
from prunebert.tasks.batching import BUCKET, Rows, padding_of
from prunebert.tasks.labels import label_names, to_classes, to_numbers

few = settings(deadline=None, max_examples=60, derandomize=True)
PADDING = {"input_ids": 99, "attention_mask": 0}
CONF = Path(__file__).parents[1] / "conf"


# batches


def rows_of(lengths: list[int]) -> Rows:
    """Row i holds the tokens i·1000, i·1000+1, … and the label 10·i, so that everything can be traced to it."""
    ids = [list(range(1000 * i, 1000 * i + n)) for i, n in enumerate(lengths)]
    table = datasets.Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * n for n in lengths]})
    return Rows.of(table, ["input_ids", "attention_mask"], torch.arange(len(lengths)) * 10)


def epochs(rows: Rows, batch_size: int, seed: int, count: int):
    batches = rows.shuffled(batch_size, seed, PADDING)
    steps = -(-len(rows) // batch_size)
    return [list(itertools.islice(batches, steps)) for _ in range(count)]


def seen(batches) -> list[int]:
    return torch.cat([b.rows for b in batches]).tolist()


def pads(batches) -> int:
    return sum(int((b.inputs["attention_mask"] == 0).sum()) for b in batches)


def test_a_batch_is_padded_on_the_right():
    batch = rows_of([2, 4, 1]).batch(np.array([2, 0, 1]), PADDING)
    assert batch.inputs["input_ids"].tolist() == [[2000, 99, 99, 99], [0, 1, 99, 99], [1000, 1001, 1002, 1003]]
    assert batch.inputs["attention_mask"].tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch.labels.tolist() == [20, 0, 10] and batch.rows.tolist() == [2, 0, 1]
    assert {x.dtype for x in batch.inputs.values()} == {torch.int64}


def test_padding_is_as_long_as_the_longest_of_its_batch():
    rows = rows_of([2, 4, 1])
    assert rows.batch(np.array([0, 2]), PADDING).inputs["input_ids"].shape == (2, 2)
    assert rows.batch(np.array([2]), PADDING).inputs["input_ids"].tolist() == [[2000]]


def test_padding_of_a_tokenizer():
    tokenizer = SimpleNamespace(pad_token_id=1, pad_token_type_id=7)
    assert padding_of(tokenizer) == {"input_ids": 1, "attention_mask": 0, "token_type_ids": 7}


@few
@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(1, 9), st.integers(0, 3))
def test_every_row_comes_once_an_epoch_and_whole(lengths, batch_size, seed):
    rows = rows_of(lengths)
    for batches in epochs(rows, batch_size, seed, 2):
        assert sorted(seen(batches)) == list(range(len(lengths)))
        assert sorted(len(b.rows) for b in batches)[1:] == [batch_size] * (len(batches) - 1)
        for batch in batches:
            for i, row in enumerate(batch.rows.tolist()):
                inside = batch.inputs["attention_mask"][i].bool()
                expected = [1000 * row + k for k in range(lengths[row])]
                assert batch.inputs["input_ids"][i][inside].tolist() == expected
                assert inside[: lengths[row]].all() and not inside[lengths[row] :].any()
                assert (batch.inputs["input_ids"][i][~inside] == 99).all()
                assert batch.labels[i] == 10 * row


def test_the_order_is_the_seeds():
    rows = rows_of([3 + i % 5 for i in range(40)])
    first, second = map(seen, epochs(rows, 4, 7, 2))
    assert [first, second] == list(map(seen, epochs(rows, 4, 7, 2)))
    assert first != second  # every epoch has an order of its own
    assert first != seen(epochs(rows, 4, 8, 1)[0])


def test_the_order_owes_nothing_to_the_global_generators():
    rows = rows_of([3] * 40)
    torch.manual_seed(0)
    np.random.seed(0)
    one = seen(epochs(rows, 4, 7, 1)[0])
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.random.get_rng_state()
    assert seen(epochs(rows, 4, 7, 1)[0]) == one
    assert torch.equal(torch.random.get_rng_state(), before)


def test_batches_of_like_length_need_far_fewer_pads():
    random = np.random.default_rng(0)
    lengths = np.minimum(5 + random.geometric(0.03, size=600), 128).tolist()  # many short, few long
    rows, batch_size = rows_of(lengths), 8
    plain = random.permutation(600)
    unbucketed = [rows.batch(plain[i : i + batch_size], PADDING) for i in range(0, 600, batch_size)]
    bucketed = epochs(rows, batch_size, 0, 1)[0]
    assert sorted(seen(bucketed)) == sorted(seen(unbucketed))
    assert pads(bucketed) < 0.2 * pads(unbucketed)
    widths = [b.inputs["input_ids"].shape[1] for b in bucketed]
    assert widths != sorted(widths) and widths != sorted(widths, reverse=True)  # but not in the order of their length


def test_only_a_buckets_rows_are_sorted_together():
    assert BUCKET == 50
    pairs = [b.rows.tolist() for b in epochs(rows_of(list(range(1, 301))), 2, 0, 1)[0]]  # three buckets of 100 rows
    assert all(a < b for a, b in pairs)
    assert any(b > a + 1 for a, b in pairs)  # a sort over all rows would pair neighbours only
    inside = [b.rows.tolist() for b in epochs(rows_of(list(range(1, 101))), 2, 0, 1)[0]]
    assert sorted(inside) == [[i, i + 1] for i in range(0, 100, 2)]  # one bucket: neighbours it is
    assert inside != sorted(inside)  # and batches come in any order


@few
@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(1, 9))
def test_by_length_covers_every_row_longest_first(lengths, batch_size):
    batches = list(rows_of(lengths).by_length(batch_size, PADDING))
    order = seen(batches)
    assert order == sorted(range(len(lengths)), key=lambda i: -lengths[i])  # Python's sort is stable
    assert [len(b.rows) for b in batches[:-1]] == [batch_size] * (len(batches) - 1)


def test_rows_of_a_slice_and_of_joined_tables():
    parts = [datasets.Dataset.from_dict({"input_ids": [[i] * (i + 1) for i in range(k, k + 3)]}) for k in (0, 3)]
    joined = datasets.concatenate_datasets(parts)
    assert len(joined.with_format("arrow")[:]["input_ids"].chunks) == 2
    for table, kept in [(joined, range(6)), (joined.select(range(2, 5)), range(2, 5)), (joined.select([4, 1]), (4, 1))]:
        rows = Rows.of(table, ["input_ids"], torch.arange(len(table)))
        found = [rows.batch(np.array([i]), {"input_ids": 0}).inputs["input_ids"][0].tolist() for i in range(len(rows))]
        assert found == [[i] * (i + 1) for i in kept]


# labels


def test_class_names_are_sorted_as_numbers_where_all_are():
    assert label_names(pd.Series(["10", "9", "10", "-1"]), "y") == ["-1", "9", "10"]
    assert label_names(pd.Series([2.0, 1.0, 2.0]), "y") == ["1", "2"]
    assert label_names(pd.Series([10, 9]), "y") == ["9", "10"]
    assert label_names(pd.Series(["no", "Yes", " no "]), "y") == ["Yes", "no"]
    assert label_names(pd.Series([True, False]), "y") == ["False", "True"]


def test_one_class_or_far_too_many_are_no_classes():
    with pytest.raises(BadInput, match=r"task\.label=y: every training row has the same label spam"):
        label_names(pd.Series(["spam"] * 3), "y")
    with pytest.raises(BadInput, match=r"task\.label=y: 30 different values in 30 rows.*task\.kind=regression"):
        label_names(pd.Series([f"{i / 7:.3f}" for i in range(30)]), "y")
    assert len(label_names(pd.Series([f"c{i}" for i in range(20)]), "y")) == 20
    assert len(label_names(pd.Series([f"c{i % 30}" for i in range(60)]), "y")) == 30


@pytest.mark.parametrize("labels", [["a", None, "b", "a"], [1.0, float("nan"), 0.0]])
def test_an_empty_label_of_a_training_file_is_told(labels):
    with pytest.raises(BadInput, match=r"task\.label=y"):
        label_names(pd.Series(labels), "y")


NAMES = ["entailment", "neutral", "contradiction"]


@pytest.mark.parametrize(
    "labels",
    [
        ["neutral", "entailment", "contradiction"],
        [" neutral", "entailment ", "contradiction"],
        ["1", "0", "2"],
        [1, 0, 2],
        [1.0, 0.0, 2.0],
        ["neutral", "0", "2"],
    ],
)
def test_a_label_is_a_name_or_the_index_of_one(labels):
    found = to_classes(pd.Series(labels), NAMES, "y", "train")
    assert found.tolist() == [1, 0, 2] and found.dtype == np.int64


def test_a_name_goes_before_an_index():
    assert to_classes(pd.Series(["1", "0"]), ["1", "0"], "y", "train").tolist() == [0, 1]
    assert to_classes(pd.Series([3, 1, 2]), ["1", "2", "3"], "y", "train").tolist() == [2, 0, 1]


def test_an_unknown_label_is_told_with_its_row_and_what_was_meant():
    with pytest.raises(BadInput) as caught:
        to_classes(pd.Series(["neutral", "entailment", "nuetral", "x"]), NAMES, "gold", "validation")
    assert str(caught.value) == (
        "task.label=gold: row 2 of validation is labelled 'nuetral'; labels are entailment, neutral, contradiction"
        "; did you mean neutral?"
    )
    for label in ("3", "-1", "1.5", ""):
        with pytest.raises(BadInput, match="row 0 of train is labelled"):
            to_classes(pd.Series([label]), NAMES, "y", "train")
    with pytest.raises(BadInput, match=r"row 0 of train is labelled '0\.5'"):
        to_classes(pd.Series([0.5, 0.5]), ["0", "1"], "y", "train")
    with pytest.raises(BadInput, match="row 1 of train is labelled"):
        to_classes(pd.Series(["neutral", None]), NAMES, "y", "train")


@pytest.mark.parametrize("wrong", [0.5, float("nan")])
def test_the_row_that_is_told_is_the_one_that_is_wrong(wrong):
    with pytest.raises(BadInput, match="row 2 of train"):
        to_classes(pd.Series([1.0, 0.0, wrong]), ["0", "1"], "y", "train")


def test_numbers_for_regression():
    found = to_numbers(pd.Series(["3.5", " 0", "-1e-2"]), "score", "train")
    assert found.dtype == np.float32 and found.tolist() == pytest.approx([3.5, 0.0, -0.01])
    assert to_numbers(pd.Series([5, 0]), "score", "train").tolist() == [5.0, 0.0]


@pytest.mark.parametrize("label", ["good", "", "nan", "inf", "1,5"])
def test_what_is_no_number_is_told_with_its_row(label):
    with pytest.raises(BadInput) as caught:
        to_numbers(pd.Series(["1", label, "worse"]), "score", "validation")
    assert str(caught.value) == (f"task.label=score: row 1 of validation is {label!r}, not a number (regression)")


# sources

TABLE = [
    {"text": 'She said "no", twice', "note": "NA", "label": 1},
    {"text": "null", "note": "an 'a'", "label": 0},
    {"text": 'a "b, café…', "note": "3", "label": 1},
]


def write(path: Path) -> str:
    """The three rows in the format of the file's ending; the stem chooses among JSON's forms."""
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as stream:
            if path.suffix == ".csv":
                writer = csv.DictWriter(stream, list(TABLE[0]))
                writer.writeheader()
                writer.writerows(TABLE)
            else:
                stream.writelines("\t".join(map(str, r)) + "\n" for r in [TABLE[0], *(r.values() for r in TABLE)])
    elif path.suffix == ".parquet":
        pd.DataFrame(TABLE).to_parquet(path)
    elif path.stem == "records":
        path.write_text(json.dumps(TABLE), "utf-8")
    elif path.stem == "by_id":
        path.write_text(json.dumps({f"id{i}": r for i, r in enumerate(TABLE)}, indent=1, ensure_ascii=False), "utf-8")
    else:
        path.write_text("\n\n".join(json.dumps(r, ensure_ascii=False) for r in TABLE) + "\n", "utf-8")
    return str(path)


@pytest.mark.parametrize(
    "name", ["a.csv", "a.tsv", "lines.jsonl", "lines.json", "records.json", "by_id.json", "a.parquet"]
)
def test_the_same_rows_in_every_format(tmp_path, name):
    file = write(tmp_path / name)
    (table,) = sources.from_files(file, None, ["text", "note"], "label").values()
    assert table.text_a.tolist() == [r["text"] for r in TABLE]
    assert table.text_b.tolist() == ["NA", "an 'a'", "3"]
    assert table.id.tolist() == [0, 1, 2]
    assert to_classes(table.label, ["no", "yes"], "label", "train").tolist() == [1, 0, 1]
    assert to_numbers(table.label, "label", "train").tolist() == [1.0, 0.0, 1.0]


def test_a_stray_quote_in_a_tsv_keeps_its_rows(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_text('text\tlabel\n"open\t0\nfine\t1\nclosed"\t0\nlast\t1\n')
    assert sources.read(str(file), "task.train").text.tolist() == ['"open', "fine", 'closed"', "last"]


def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path):
    for name, mark in [("a.csv", ","), ("a.tsv", "\t")]:
        (tmp_path / name).write_text(f"text{mark}label\nfine{mark}1\n", "utf-8-sig")
        assert list(sources.read(str(tmp_path / name), "k").columns) == ["text", "label"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_byte_order_mark_before_json(tmp_path, name):
    (tmp_path / name).write_text('{"text": "fine", "label": 1}\n{"text": "bad", "label": 0}\n', "utf-8-sig")
    assert sources.read(str(tmp_path / name), "k").text.tolist() == ["fine", "bad"]


@pytest.mark.parametrize("break_", ["\u2028", "\u0085"])
def test_a_line_separator_inside_a_json_string(tmp_path, break_):
    rows = [{"text": f"one{break_}two", "label": 1}, {"text": "three", "label": 0}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), "utf-8")
    assert sources.read(str(tmp_path / "a.jsonl"), "k").to_dict("records") == rows


@pytest.mark.parametrize("content", ["text,label\nfine,1,\nbad,0,\n", "text,label\nfine, really,1\nbad,0\n"])
def test_a_csv_whose_rows_are_longer_than_its_header_is_not_shifted(tmp_path, content):
    (tmp_path / "a.csv").write_text(content)
    try:
        table = sources.read(str(tmp_path / "a.csv"), "k")
    except BadInput:
        return
    assert table.text.tolist() == ["fine", "bad"] and table.label.tolist() == ["1", "0"]


def test_evaluation_files_become_splits(tmp_path):
    file = write(tmp_path / "a.csv")
    assert list(sources.from_files(file, None, ["text"], "label")) == ["train"]
    assert list(sources.from_files(file, file, ["text"], "label")) == ["train", "validation"]
    two = sources.from_files(file, {"matched": file, "mismatched": file}, ["text"], "label")
    assert list(two) == ["train", "matched", "mismatched"]
    assert list(two["matched"].columns) == ["id", "label", "text_a"]


def told(call, *words):
    with pytest.raises(BadInput) as caught:
        call()
    assert all(w in str(caught.value) for w in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_column_lists_those_that_are_there(tmp_path):
    file = write(tmp_path / "a.csv")
    told(
        lambda: sources.from_files(file, None, ["txt"], "label"),
        f"task.text=txt: {file} has no such column; it has text, note, label; did you mean text?",
    )
    told(lambda: sources.from_files(file, None, ["text", "zzz"], "label"), "task.text=zzz", "it has text, note, label")
    told(lambda: sources.from_files(file, None, ["text"], "lable"), "task.label=lable", "did you mean label?")
    told(lambda: sources.from_files(file, None, ["text", "note", "text"], "label"), "one or two columns")
    told(lambda: sources.from_files(file, None, [], "label"), "one or two columns")


def test_files_that_cannot_be_used_are_told(tmp_path):
    file = write(tmp_path / "a.csv")
    told(lambda: sources.from_files("absent.csv", None, ["text"], "label"), "task.train=absent.csv", "no such file")
    told(lambda: sources.from_files(file, "absent.csv", ["text"], "label"), "task.eval=absent.csv", "no such file")
    told(lambda: sources.from_files(str(tmp_path), None, ["text"], "label"), "no such file")
    (tmp_path / "a.xlsx").write_text("x")
    told(
        lambda: sources.read(str(tmp_path / "a.xlsx"), "k"),
        "ending .xlsx is not known",
        ".csv, .tsv, .jsonl, .json, .parq",
    )
    (tmp_path / "none").write_text("x")
    told(lambda: sources.read(str(tmp_path / "none"), "k"), "ending (none) is not known")
    (tmp_path / "only.csv").write_text("text,label\n")
    (tmp_path / "only.jsonl").write_text("")
    told(lambda: sources.from_files(str(tmp_path / "only.csv"), None, ["text"], "label"), "only.csv has no rows")
    told(lambda: sources.from_files(str(tmp_path / "only.jsonl"), None, ["text"], "label"), "only.jsonl has no rows")


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.csv", b""),
        ("a.csv", b"text,label\nfine,1\nbad,0,surplus\n"),
        ("a.csv", b"text,label\n\xff\xfe,1\n"),
        ("a.jsonl", b'{"text": "fine"\n'),
        ("a.json", b"[1, 2"),
        ("a.json", b"3"),
        ("a.parquet", b"PAR1 not really"),
    ],
)
def test_a_broken_file_is_told_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    file = str(tmp_path / name)
    told(lambda: sources.from_files(file, None, ["text"], "label"), file)


def test_a_row_without_text_is_told(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "fine", "label": 1}\n{"text": null, "label": 0}\n')
    told(lambda: sources.from_files(str(tmp_path / "a.jsonl"), None, ["text"], "label"), "row 1 has no text")


# GLUE's layout


def folder_of(task: str) -> dict:
    return OmegaConf.to_container(OmegaConf.load(CONF / "task" / f"{task}.yaml").folder)


def glue(root: Path, task: str, content: dict[str, str]) -> dict:
    layout = folder_of(task)
    (root / layout["name"]).mkdir()
    for file, text in content.items():
        (root / layout["name"] / file).write_text(text, "utf-8")
    return layout


RTE = "index\tsentence1\tsentence2\tlabel\n"


@pytest.fixture
def rte(tmp_path):
    train = RTE + '0\t"No, he said.\tNA\tentailment\n1\ta\tb\tnot_entailment\n'
    return glue(tmp_path, "rte", {"train.tsv": train, "dev.tsv": RTE + "0\tc\td\tentailment\n"})


@pytest.mark.parametrize("within", ["", "RTE"])
def test_a_folder_in_glues_layout(tmp_path, rte, within):
    tables = sources.from_folder("rte", str(tmp_path / within), **rte)
    assert list(tables) == ["train", "validation"]
    assert tables["train"].drop(columns="id").to_dict("list") == {
        "label": ["entailment", "not_entailment"],
        "text_a": ['"No, he said.', "a"],
        "text_b": ["NA", "b"],
    }
    assert tables["validation"].text_b.tolist() == ["d"]


def test_cola_has_no_line_of_names(tmp_path):
    line = "gj04\t{}\t{}\t{}\n"
    train = line.format(1, "", "Fred watered the plants flat.") + line.format(0, "*", '"They" drank the pub.')
    layout = glue(tmp_path, "cola", {"train.tsv": train, "dev.tsv": line.format(1, "", "Bill floated.")})
    tables = sources.from_folder("cola", str(tmp_path), **layout)
    assert tables["train"].text_a.tolist() == ["Fred watered the plants flat.", '"They" drank the pub.']
    assert tables["train"].label.tolist() == ["1", "0"]
    assert tables["validation"].text_a.tolist() == ["Bill floated."]


def test_mrpcs_byte_order_mark(tmp_path):
    head = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    layout = glue(tmp_path, "mrpc", dict.fromkeys(["train.tsv", "dev.tsv"], head + '1\t7\t8\tx "y\tz\n'))
    table = sources.from_folder("mrpc", str(tmp_path), **layout)["train"]
    assert (table.label[0], table.text_a[0], table.text_b[0]) == ("1", 'x "y', "z")


def test_qqps_broken_lines_are_left_out(tmp_path):
    head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    good, more = "0\t1\t2\ta\tb\t1\n", "5\t6\t7\tc\td\t0\n"
    broken = "1\t3\t4\twhat is\n\tthis\t0\n" + "2\t3\t4\tone\ttwo\n" + "3\t3\t4\tone\ttwo\tthree\tfour\t1\n"
    layout = glue(tmp_path, "qqp", {"train.tsv": head + good + broken + more, "dev.tsv": head + good})
    table = sources.from_folder("qqp", str(tmp_path), **layout)["train"]
    assert table.text_a.tolist() == ["a", "c"] and table.label.tolist() == ["1", "0"]
    assert list(table.index) == [0, 1]


@pytest.mark.parametrize("content", [b"", RTE.encode() + b"0\ta\t\xff\tentailment\n"])
def test_a_broken_file_of_a_glue_folder_is_told(tmp_path, rte, content):
    (tmp_path / "RTE" / "train.tsv").write_bytes(content)
    told(lambda: sources.from_folder("rte", str(tmp_path), **rte), "train.tsv")


def test_a_folder_that_is_not_glues_is_told(tmp_path, rte):
    told(lambda: sources.from_folder("cola", str(tmp_path), **folder_of("cola")), "task.data_dir=", "CoLA/train.tsv")
    told(lambda: sources.from_folder("rte", "/no/such/folder", **rte), "is not GLUE's layout for rte: RTE/train.tsv")
    (tmp_path / "RTE" / "dev.tsv").unlink()
    told(lambda: sources.from_folder("rte", str(tmp_path), **rte), "RTE/dev.tsv is not there")
    (tmp_path / "RTE" / "train.tsv").write_text("a\tb\n1\t2\n")
    told(lambda: sources.from_folder("rte", str(tmp_path), **rte), "task.text=sentence1", "it has a, b")
