"""GLUE's layout: the peculiarities of its files."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from prunebert.tasks import sources
from tests.tasks.test_sources import refused

CONF = Path(__file__).parents[2] / "conf"


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


def test_cola_has_no_header_line(tmp_path):
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
    first_line, last_line = "0\t1\t2\ta\tb\t1\n", "5\t6\t7\tc\td\t0\n"
    broken = "1\t3\t4\twhat is\n\tthis\t0\n" + "2\t3\t4\tone\ttwo\n" + "3\t3\t4\tone\ttwo\tthree\tfour\t1\n"
    layout = glue(tmp_path, "qqp", {"train.tsv": head + first_line + broken + last_line, "dev.tsv": head + first_line})
    table = sources.from_folder("qqp", str(tmp_path), **layout)["train"]
    assert table.text_a.tolist() == ["a", "c"] and table.label.tolist() == ["1", "0"]
    assert list(table.index) == [0, 1]


@pytest.mark.parametrize("content", [b"", RTE.encode() + b"0\ta\t\xff\tentailment\n"])
def test_a_broken_file_of_a_glue_folder_is_refused(tmp_path, rte, content):
    (tmp_path / "RTE" / "train.tsv").write_bytes(content)
    refused(lambda: sources.from_folder("rte", str(tmp_path), **rte), "train.tsv")


def test_a_folder_in_another_layout_is_refused(tmp_path, rte):
    refused(lambda: sources.from_folder("cola", str(tmp_path), **folder_of("cola")), "task.data_dir=", "CoLA/train.tsv")
    refused(
        lambda: sources.from_folder("rte", "/no/such/folder", **rte),
        "task.data_dir=/no/such/folder: there is no such folder",
    )
    (tmp_path / "RTE" / "dev.tsv").unlink()
    refused(lambda: sources.from_folder("rte", str(tmp_path), **rte), "RTE/dev.tsv is missing")
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / "RTE" / name).write_text("a\tb\n1\t2\n")
    refused(lambda: sources.from_folder("rte", str(tmp_path), **rte), "task.text=sentence1", "it has a, b")


def test_rows_without_a_label_are_left_out_and_the_others_keep_their_numbers(tmp_path):
    lines = "0\ta\tb\tentailment\n1\tc\td\t\n2\te\tf\tnot_entailment\n"
    layout = glue(tmp_path, "rte", dict.fromkeys(["train.tsv", "dev.tsv"], RTE + lines))
    table = sources.from_folder("rte", str(tmp_path), **layout)["train"]
    assert table.text_a.tolist() == ["a", "e"] and table.text_b.tolist() == ["b", "f"]
    assert table.id.tolist() == [0, 2] and list(table.index) == [0, 1]
    assert table.attrs["source"].endswith("RTE/train.tsv")
    (tmp_path / "RTE/dev.tsv").write_text(RTE + "1\tc\td\t\n")
    refused(lambda: sources.from_folder("rte", str(tmp_path), **layout), "no row of RTE/dev.tsv has a label")
