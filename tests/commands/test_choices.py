"""A run on questions with choices: exported, evaluated and loaded."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import transformers

import prunebert
from prunebert.errors import BadInput
from tests.toys import save_model

CHOICES = ["task.kind=choices", "task.choices=[second,third]", "task.label=position", "task.label_words=null"]
SEVERAL, ONE, ENCODER = "AutoModelForMultipleChoice", "AutoModelForSequenceClassification", "AutoModel"
RUNS = [
    (SEVERAL, "bert", "magnitude"),
    pytest.param(SEVERAL, "distilbert", "magnitude", marks=pytest.mark.slow),
    (ONE, "roberta", "magnitude"),
    pytest.param(ONE, "electra", "magnitude", marks=pytest.mark.slow),
    pytest.param(ENCODER, "bert", "abp", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def run(finished, model_folder, tmp_path_factory):
    """Return a function that gives the directory of a run of a family's small model."""
    folder = tmp_path_factory.mktemp("families")

    def call(family, method):
        name = model_folder if family == "bert" else folder / family
        if not name.exists():
            save_model(name, family)
        return finished(f"model.name={name}", f"method={method}", "sparsity=0.5", *CHOICES)

    return call


@pytest.mark.parametrize(("auto_class", "family", "method"), RUNS)
def test_stock_transformers_chooses_as_the_run_does(run, data_folder, cli, tmp_path, auto_class, family, method):
    """The code in the README gives the run's own logits for each question of the raw file."""
    directory, out = run(family, method), tmp_path / "out"
    status, printed = cli("export", str(directory), str(out))
    assert status == 0 and auto_class in printed, printed
    facts = json.loads((out / "prunebert.json").read_text())
    assert facts["class"] == auto_class and facts["form"]["choices"] == 2
    code = re.search(r"```python\n(.*?)```", (out / "README.md").read_text(), re.S)[1]
    before, asked, after = re.split(r'(question, choices = "a question", \["choice 0", "choice 1"\]\n)', code)
    assert asked and f"import {auto_class}" in before
    values = {}
    exec(before, values)  # the working directory is that of `out`
    table = pd.read_csv(data_folder / "eval.csv")[:6]
    rows = pd.read_parquet(directory / "predictions.parquet")
    for i, (question, second, third) in enumerate(zip(table.sentence, table.second, table.third, strict=True)):
        values |= {"question": question, "choices": [second, third]}
        exec(after, values)
        np.testing.assert_allclose(values["logits"].numpy(), rows.scores[i][None], atol=1e-5)
    if auto_class == SEVERAL:
        model, info = transformers.AutoModelForMultipleChoice.from_pretrained(out, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"] and model.config.problem_type is None


def test_a_loaded_run_chooses_as_its_predictions_say(run, data_folder):
    directory = run("bert", "magnitude")
    loaded, table = prunebert.load(directory), pd.read_csv(data_folder / "eval.csv")
    rows = pd.read_parquet(directory / "predictions.parquet")
    choices = table[["second", "third"]].to_numpy().tolist()
    np.testing.assert_allclose(loaded.logits([*table.sentence], choices).numpy(), np.stack(rows.scores), atol=1e-6)
    assert loaded.predict([*table.sentence], choices) == rows.prediction.tolist()
    assert rows.label.tolist() == table.position.tolist() and len(rows) == 40
    for wrong, said in (
        ([["a", "b", "c"]], "a list of 2 choices for question 1, not 3 texts"),
        (["a b"], "not one text"),
        ([None], "not null"),
        ([["a", 3]], "reads texts, and one of these is the number 3"),
        (None, "reads two texts"),
    ):
        with pytest.raises(BadInput, match=said):
            loaded.predict(["what"], wrong)


def test_evaluate_scores_files_with_as_many_choices(run, data_folder, cli):
    directory, file = run("bert", "magnitude"), data_folder / "eval.csv"
    score = json.loads((directory / "result.json").read_text())["score"]
    own = ["task=file", f"task.eval={file}", "task.text=sentence", "task.label=position"]
    status, printed = cli("evaluate", str(directory), *own, "task.choices=[second,third]")
    assert status == 0 and f"accuracy {score:.4f} (constant baseline" in printed
    status, printed = cli("evaluate", str(directory), *own, "task.choices=[second,third,sentence]", "task.text=number")
    assert status == 2 and "this task asks for one of 3 texts" in printed and "asks for one of 2 texts" in printed
    status, printed = cli("evaluate", str(directory), *own, "task.kind=classification")
    assert status == 2 and "asks for a label of a text" in printed


def test_info_and_a_dry_run_speak_of_questions(run, cli, toy):
    status, printed = cli("info", str(run("bert", "magnitude")))
    assert status == 0 and "always the commonest position" in " ".join(printed.split())
    status, printed = cli(*toy, *CHOICES, "method=magnitude", "sparsity=0.5", "dry=true")
    assert status == 0 and "of 32 questions with 2 texts each on 96 training rows" in " ".join(printed.split())
