"""The Hugging Face hub in one file: its protocol, spoken for a folder tree of repositories, and repositories to serve.

    root/models/bert-base-uncased/config.json …      root/datasets/nyu-mll/glue/README.md …

    root/tags/v1/datasets/nyu-mll/glue/README.md …

Enough for HF_ENDPOINT with huggingface_hub 2, transformers 5 and datasets 5: the revision `main`, tags, and
branches in folders beside the repository's: root/datasets/jhu-cogsci/hans@refs-convert-parquet/…
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

API = re.compile(r"/api/(models|datasets)/(.+?)(?:/(revision|tree|paths-info)/([^/]+)(?:/(.*))?)?")
REFS = re.compile(r"/api/(models|datasets)/(.+)/refs")
RESOLVE = re.compile(r"/(datasets/)?(.+?)/resolve/([^/]+)/(.+)")
GLUE = {
    "rte": (
        ["sentence1", "sentence2"],
        ["entailment", "not_entailment"],
        {"train": 40, "validation": 16, "test": 8},
    ),
    "mnli": (
        ["premise", "hypothesis"],
        ["entailment", "neutral", "contradiction"],
        {"train": 45, "validation_matched": 18, "validation_mismatched": 15, "test_matched": 9, "test_mismatched": 9},
    ),
}
WORDS = ("yes", "no", "maybe", "the", "a", "cat", "dog", "bird", "sleeps", "runs", "sings", "on", "mat", "house", "not")


class Missing(Exception):
    """What the hub calls it: RepoNotFound, RevisionNotFound or EntryNotFound."""


class Handler(BaseHTTPRequestHandler):
    """One request. `root` is set on the subclass that `serving` makes."""

    root: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        url = urlsplit(self.path)
        try:
            if match := REFS.fullmatch(url.path):
                self._json(self._refs(*match.groups()))
            elif match := API.fullmatch(url.path):
                self._json(self._api(*match.groups(), query=parse_qs(url.query), form=parse_qs(body)))
            elif match := RESOLVE.fullmatch(url.path):
                self._file(*match.groups())
            else:
                self._send(404 if url.path != "/" else 200, b"")
        except Missing as error:
            self._send(404, b"{}", {"X-Error-Code": str(error)})

    do_HEAD = do_POST = do_GET

    def _refs(self, kind: str, name: str) -> Any:
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": _commit(self._repository(kind, name, None))}
        tags = [
            {"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": _commit(folder)}
            for tag, folder in self._tags(kind, name).items()
        ]
        return {"branches": [main], "converts": [], "tags": tags}

    def _tags(self, kind: str, name: str) -> dict[str, Path]:
        return {p.name: p / kind / name for p in self.root.glob("tags/*") if (p / kind / name).is_dir()}

    def _api(self, kind: str, name: str, what: str, revision: str, path: str, *, query: dict, form: dict) -> Any:
        repository = self._repository(kind, name, revision)
        if what == "tree":
            folder = repository / unquote(path or "")
            if not folder.is_dir():
                raise Missing("EntryNotFound")
            recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
            return [_entry(repository, p) for p in sorted(folder.rglob("*") if recursive else folder.iterdir())]
        if what == "paths-info":
            return [_entry(repository, repository / p) for p in form["paths"] if (repository / p).exists()]
        siblings = [{"rfilename": str(p.relative_to(repository))} for p in _files(repository)]
        return {"id": name, "sha": _commit(repository), "siblings": siblings, "private": False, "tags": []}

    def _file(self, datasets: str, name: str, revision: str, path: str) -> None:
        repository = self._repository("datasets" if datasets else "models", name, revision)
        file = repository / unquote(path)
        headers = {"X-Repo-Commit": _commit(repository), "Accept-Ranges": "bytes"}
        if not file.is_file():
            return self._send(404, b"", headers | {"X-Error-Code": "EntryNotFound"})
        content, headers["ETag"] = file.read_bytes(), f'"{_oid(file)}"'
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not part:
            return self._send(200, content, headers)
        start, end = int(part[1]), min(int(part[2] or len(content)), len(content) - 1)
        self._send(206, content[start : end + 1], headers | {"Content-Range": f"bytes {start}-{end}/{len(content)}"})

    def _repository(self, kind: str, name: str, revision: str | None) -> Path:
        folder = (self.root / kind / unquote(name)).resolve()
        if (
            not folder.is_relative_to(self.root)
            or not folder.is_dir()
            or not any(p.is_file() for p in folder.iterdir())
        ):
            raise Missing("RepoNotFound")
        if revision in (None, "main", _commit(folder)):
            return folder
        for tag, tagged in self._tags(kind, unquote(name)).items():
            if revision in (tag, _commit(tagged)):
                return tagged
        for branch in folder.parent.glob(f"{folder.name}@*"):  # NAME@refs-convert-parquet
            if branch.name == f"{folder.name}@{unquote(revision).replace('/', '-')}" or revision == _commit(branch):
                return branch
        raise Missing("RevisionNotFound")

    def _json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silent."""


class Dying(Handler):
    """Dies in the middle of the first large file: half of it is sent, and nothing is answered from then on."""

    LARGE = 20_000
    dead: threading.Event

    def do_GET(self) -> None:
        if self.dead.is_set():
            self.close_connection = True
        else:
            super().do_GET()

    do_HEAD = do_POST = do_GET

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        if len(body) < self.LARGE or self.command == "HEAD":
            return super()._send(status, body, headers)
        self.dead.set()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.close_connection = True


@contextmanager
def serving(root: Path, handler: type[Handler] = Handler) -> Iterator[str]:
    """The address of a hub for what lies under `root`, as long as the context lasts."""
    attributes = {"root": root, "dead": threading.Event()}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (handler,), attributes))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _files(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if p.is_file()]


def _oid(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


def _commit(repository: Path) -> str:
    names = "".join(f"{p.relative_to(repository)} {_oid(p)}\n" for p in _files(repository))
    return hashlib.sha1(names.encode()).hexdigest()


def _entry(repository: Path, path: Path) -> dict[str, Any]:
    place = str(path.relative_to(repository))
    if path.is_dir():
        return {"type": "directory", "path": place, "oid": hashlib.sha1(place.encode()).hexdigest(), "size": 0}
    return {"type": "file", "path": place, "oid": _oid(path), "size": path.stat().st_size}


def make_glue(root: Path) -> None:
    """nyu-mll/glue with `rte` and `mnli`: a README.md that lists them, and a Parquet file a split."""
    from datasets import ClassLabel, Dataset, Features, Value

    repository = root / "datasets" / "nyu-mll" / "glue"
    readme = ["---", "configs:"]
    for config, (text, labels, splits) in GLUE.items():
        readme += [f"- config_name: {config}", "  data_files:"]
        columns = {t: Value("string") for t in text} | {"label": ClassLabel(names=labels), "idx": Value("int32")}
        (repository / config).mkdir(parents=True)
        for split, rows in splits.items():
            readme += [f"  - split: {split}", f"    path: {config}/{split}-*"]
            table: dict[str, list] = {t: [_sentence(i, len(t)) for i in range(rows)] for t in text}
            table["label"] = [-1 if split.startswith("test") else i % len(labels) for i in range(rows)]
            table["idx"] = list(range(rows))
            file = repository / config / f"{split}-00000-of-00001.parquet"
            Dataset.from_dict(table, features=Features(columns)).to_parquet(file)
    (repository / "README.md").write_text("\n".join([*readme, "---", "# GLUE, or something of its shape", ""]))


def make_set(folder: Path, features: Any, splits: dict[str, dict[str, list]]) -> None:
    """A data set of one configuration: a README.md, and a Parquet file a split."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    folder.mkdir(parents=True)
    readme = ["---", "configs:", "- config_name: default", "  data_files:"]
    for split, table in splits.items():
        readme += [f"  - split: {split}", f"    path: {split}.parquet"]
        Dataset.from_dict(table, features=features).to_parquet(folder / f"{split}.parquet")
    (folder / "README.md").write_text("\n".join([*readme, "---", ""]))


HANS = ("lexical_overlap", "subsequence", "constituent")


def make_hans(root: Path) -> None:
    """jhu-cogsci/hans: a script on `main`, and the hub's own conversion to Parquet. 30 rows a split, 10 a heuristic."""
    from datasets import ClassLabel, Dataset, Features, Value

    main = root / "datasets" / "jhu-cogsci" / "hans"
    main.mkdir(parents=True)
    (main / "hans.py").write_text("raise SystemExit('a script of the hub was run')\n")
    text = {name: Value("string") for name in ("premise", "hypothesis", "heuristic", "subcase", "template")}
    features = Features(text | {"label": ClassLabel(names=["entailment", "non-entailment"])})
    for split in ("train", "validation"):
        folder = main.with_name("hans@refs-convert-parquet") / "plain_text" / split
        folder.mkdir(parents=True)
        rows: dict[str, list] = {t: [_sentence(i, len(t)) for i in range(30)] for t in ("premise", "hypothesis")}
        rows |= {"heuristic": [HANS[i % 3] for i in range(30)], "subcase": ["s"] * 30, "template": ["t"] * 30}
        rows["label"] = [i // 3 % 2 for i in range(30)]
        Dataset.from_dict(rows, features=features).to_parquet(folder / "0000.parquet")


def make_paws(root: Path) -> None:
    """google-research-datasets/paws with `labeled_final`: 20 rows a split."""
    from datasets import ClassLabel, Dataset, Features, Value

    repository = root / "datasets" / "google-research-datasets" / "paws"
    columns = {"id": Value("int32"), "sentence1": Value("string"), "sentence2": Value("string")}
    features = Features(columns | {"label": ClassLabel(names=["0", "1"])})
    readme = ["---", "configs:", "- config_name: labeled_final", "  data_files:"]
    (repository / "labeled_final").mkdir(parents=True)
    for split in ("train", "test", "validation"):
        readme += [f"  - split: {split}", f"    path: labeled_final/{split}-*"]
        rows: dict[str, list] = {t: [_sentence(i, k) for i in range(20)] for k, t in enumerate(columns) if t != "id"}
        rows |= {"id": list(range(20)), "label": [i % 2 for i in range(20)]}
        Dataset.from_dict(rows, features=features).to_parquet(
            repository / f"labeled_final/{split}-00000-of-00001.parquet"
        )
    (repository / "README.md").write_text("\n".join([*readme, "---", "# PAWS, or something of its shape", ""]))


def make_bert(root: Path) -> Path:
    """bert-base-uncased with 2 layers of 32, its masked-LM head and a tokenizer of some words and all letters."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertTokenizer

    folder = root / "models" / "bert-base-uncased"
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters[1:], *(f"##{c}" for c in letters), ".", *WORDS]
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertForMaskedLM(config).save_pretrained(folder)
    vocabulary = {token: i for i, token in enumerate(tokens)}
    # transformers 5.0 does not lower the case by default, and later versions do
    BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=128).save_pretrained(folder)
    return folder


def _sentence(i: int, salt: int) -> str:
    return " ".join(WORDS[3 + (i * 7 + salt * k) % (len(WORDS) - 3)] for k in range(3 + i % 5)).capitalize() + "."
