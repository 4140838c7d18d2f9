"""Each slow phase of a report knows how many steps it has, and counts all of them."""

from prunebert.report import command
from prunebert.report.page.page import Picture
from prunebert.system.countdown import Countdown


def test_every_phase_has_a_total_and_reaches_it(run, tmp_path, monkeypatch):
    for method in ("gmp", "magnitude", "smp"):
        for sparsity in (0.5, 0.9):
            run(f"lab/{method}{sparsity}", method, sparsity)
    ended = []
    leave = Countdown.__exit__

    def record(self, *error):
        ended.append((self.task, self.done, self.total))
        leave(self, *error)

    def draw(drawing, folder, document):
        (folder / f"{drawing.name}.png").touch()
        return Picture(drawing.name, drawing.caption, "", "", 900)

    monkeypatch.setattr(Countdown, "__exit__", record)
    monkeypatch.setattr("prunebert.report.page.page.draw_picture", draw)
    report = command.write([tmp_path / "lab"])
    phases = {task: (done, total) for task, done, total in ended}
    figures = len(list((report.file.parent / "figures").glob("*.png")))
    assert phases["reading runs"] == (6, 6) and phases["reading charts"] == (6, 6)
    assert phases["comparing with the baselines"] == (6, 6)  # 3 methods × 2 sparsities with one baseline
    assert figures > 2 and phases["drawing figures"] == (figures, figures)
