"""Names of figures' files."""

from prunebert.report.page import drawings


def test_names_of_files_stay_apart():
    assert drawings.slug("score MNLI, bert-base (a)") == "score-mnli-bert-base-a"
    texts = ["电影 a", "影评 a", "x" * 200, "x" * 201]
    assert len({drawings.slug(text) for text in texts}) == 4
    assert all(len(drawings.slug(text)) <= drawings.MAX_SLUG for text in texts)
