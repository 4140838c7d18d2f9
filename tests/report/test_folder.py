"""Which files a report replaces: its own, and no file of the user's, not even through a link."""

import re
import shutil
from pathlib import Path

import pytest

from prunebert.errors import BadInput
from prunebert.report import command, folder, page

FILES = ("report.html", "summary.md", "results.csv", "results.parquet", "tables.tex")


@pytest.fixture
def out(run, tmp_path, monkeypatch):
    """An earlier report on two runs, without figures."""

    def draw_picture(drawing, folder, document):
        (folder / f"{drawing.name}.png").write_bytes(b"figure")
        return command.Picture(drawing.name, drawing.caption, "", "", 900)

    monkeypatch.setattr("prunebert.report.page.page.draw_picture", draw_picture)
    run("lab/a", "magnitude")
    run("lab/b", "smp", wrong=5)
    command.write([tmp_path / "lab"], tmp_path / "out")
    return tmp_path / "out"


def test_an_earlier_report_is_replaced(out, tmp_path):
    before = {name: (out / name).stat().st_ino for name in FILES}
    command.write([tmp_path / "lab"], out)
    assert all((out / name).stat().st_ino != number for name, number in before.items())
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_users_is_kept_and_that_is_said_before_the_work(out, tmp_path, monkeypatch, name):
    monkeypatch.setattr(command.collect, "collect", lambda dirs: pytest.fail("the work began"))
    (out / name).write_text("my own notes, and a table,of\nmine,1\n")
    with pytest.raises(BadInput, match=f"out/{name} was not written by this command and would be lost"):
        command.write([tmp_path / "lab"], out)
    assert (out / name).read_text().startswith("my own notes")


def test_a_link_is_replaced_and_its_target_is_not_touched(out, tmp_path):
    for name in FILES:
        (tmp_path / f"my-{name}").write_text("precious")
        (out / name).unlink()
        (out / name).symlink_to(tmp_path / f"my-{name}")
    command.write([tmp_path / "lab"], out)
    assert all((tmp_path / f"my-{name}").read_text() == "precious" for name in FILES)
    assert not any((out / name).is_symlink() for name in FILES)


def test_figures_of_the_users_are_kept(tmp_path):
    (tmp_path / "out/figures").mkdir(parents=True)
    (tmp_path / "out/figures/holiday.png").touch()
    folder.refuse_unusable(tmp_path / "out")  # a report writes no file of that name
    (tmp_path / "out/figures/score-mine.png").write_bytes(b"mine")
    with pytest.raises(BadInput, match=r"score-mine\.png"):
        folder.refuse_unusable(tmp_path / "out")
    (tmp_path / "out/figures/score-mine.png").unlink()
    for name in ("cost-a.pdf", "density-a.png", "budget-kinds-a.pdf", "overlap-a.png"):
        (tmp_path / "out/figures" / name).write_bytes(b"mine")
        with pytest.raises(BadInput, match=name):
            folder.refuse_unusable(tmp_path / "out")
        (tmp_path / "out/figures" / name).unlink()


def test_a_table_with_only_some_of_a_reports_columns_is_the_users(tmp_path):
    (tmp_path / "results.csv").write_text("table,label,score\n1,2,3\n")
    with pytest.raises(BadInput, match=r"results\.csv was not written by this command"):
        folder.refuse_unusable(tmp_path)


def test_a_linked_or_missing_folder_of_figures(tmp_path):
    folder.refuse_unusable(tmp_path / "new/deep")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="figures is not a folder of a report"):
        folder.refuse_unusable(tmp_path / "out")


def test_a_folder_inside_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"--out=.*file/x cannot be written to: Not a directory"):
        folder.refuse_unusable(tmp_path / "file/x")


def test_figures_that_are_not_drawn_again_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("score-a.png", "score-a.pdf", "forest-b.png", "tuning.pdf", "mine.png", "score.txt"):
        (tmp_path / "figures" / name).write_text("")
    folder.remove_figures(tmp_path, {"score-a"})
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {
        "score-a.png",
        "score-a.pdf",
        "mine.png",
        "score.txt",
    }


def test_the_directory_of_a_run_is_no_folder_for_a_report(run, tmp_path):
    with pytest.raises(BadInput, match="this is the directory of a run"):
        folder.refuse_unusable(run("a"))


def test_every_figure_of_the_page_is_known_as_the_reports_own():
    """Otherwise an earlier report's figure stays in the folder, and a user's own is written over."""
    sources = "".join(path.read_text() for path in sorted(Path(page.__file__).parent.glob("*.py")))
    kinds = re.findall(r'\bdrawing\(\s*f?"(\w+)', sources)
    assert len(kinds) > 10 and set(kinds) == set(folder.KINDS)


def identified(run, tmp_path, *names):
    for name in names:
        run(f"lab/{name}", seed=int(name), identity=name * 32)
    return tmp_path / "lab"


def test_another_persons_table_is_not_replaced_by_a_report_on_other_runs(undrawn, run, tmp_path):
    lab = identified(run, tmp_path, "1", "2")
    command.write([lab], tmp_path / "theirs/report")
    shutil.rmtree(lab)
    mine = identified(run, tmp_path, "3")
    table = tmp_path / "theirs/report/results.csv"
    before = table.read_bytes()
    roots = [tmp_path / "theirs/report", mine]
    for dirs, out in ((roots, roots[0]), ([mine], roots[0]), ([tmp_path / "theirs", mine], None)):
        with pytest.raises(BadInput, match=r"results.csv has 2 rows of runs that are not among those read"):
            command.write(dirs, out)
    assert table.read_bytes() == before
    report = command.write([table, mine], tmp_path / "both")  # as the message says
    assert len(report.runs) == 3


def test_a_report_may_be_made_again_after_some_of_its_runs_were_deleted_or_made_again(undrawn, run, tmp_path):
    lab = identified(run, tmp_path, "1", "2")
    command.write([lab])
    shutil.rmtree(lab / "1")
    assert len(command.write([lab]).runs) == 1
    shutil.rmtree(lab / "2")
    run("lab/again", seed=2, identity="2" * 32, wrong=30)  # the same experiment, executed again
    assert command.write([lab]).runs["score"].tolist() == [0.7]


def test_a_report_in_the_folder_of_its_runs_loses_no_row(undrawn, run, tmp_path):
    lab = identified(run, tmp_path, "1", "2")
    command.write([lab], lab)
    command.write([lab], lab)
    shutil.rmtree(lab / "1")
    with pytest.raises(BadInput, match=r"results.csv has 1 row of runs that are not among those read"):
        command.write([lab], lab)
