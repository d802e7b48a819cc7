"""Files made to be wrong end in one clear line, or are left out; nothing is half done.

`corpus/` is ours; where there is recorded data (see `data_folder`), what fuzzing found lies in its
folder `hostile`, under the same kinds of names:

    card_*      a model.json
    index_*     [text of an index, name of an event's folder, its event.json, ...] as JSON
    import_*    a CSV file, or an NPZ file of the columns COLUMNS
    label(s)_*  a file of labels
    params_*    a ROS parameter file
    bag_*       a line `metadata.yaml`, and what stands in it
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import tao_lora
from event_records import event
from models import small_artifact
from recordings import motion, write_ros2

from tao_lora_ros.bags.labels import read_labels
from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.engine.settings import Settings, read_settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.model.artifact import CARD, load_artifact, save_artifact
from tao_lora_ros.preservation.event_catalogue import EVENTS, INDEX_FILE, read_entries
from tao_lora_ros.preservation.event_index import Index
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.preservation.event_verify import verify

CORPUS = Path(__file__).parent / "corpus"
COLUMNS = "time wx wy wz ax ay az"


def refused(read: Callable[[Path], object], file: Path) -> None:
    """It is refused in one line that begins with the file."""
    with pytest.raises(TaoLoraError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2000


def card(file: Path, folder: Path) -> None:
    save_artifact(small_artifact(), folder / "model")
    (folder / "model" / CARD).write_bytes(file.read_bytes())
    refused(lambda path: load_artifact(path.parent), folder / "model" / CARD)


def index(file: Path, folder: Path) -> None:
    """What is wrong is left out and put right from the folders, and the store goes on."""
    text, name, entry, *_ = json.loads(file.read_text())
    store = folder / "store"
    with EventStore(store, 2**30, 0) as opened:
        kept = [opened.append(event(sequence)).folder for sequence in range(3)]
    (store / INDEX_FILE).write_text(text, "utf-8", errors="surrogatepass")
    if name in kept:
        (store / EVENTS / name / "event.json").write_text(entry, "utf-8", errors="surrogatepass")
    damaged = Index(store / INDEX_FILE).damaged
    for command in ("list", "verify"):
        assert tao_lora("events", command, store=store) in (0, 1)
    with EventStore(store, 2**30, 0) as opened:
        number = opened.append(event(9)).number
    assert [e.number for e in read_entries(store)][-1] == number
    assert not Index(store / INDEX_FILE).damaged
    assert not [found for found in verify(store)[1] if found.path == INDEX_FILE]
    if file.parent == CORPUS:
        assert damaged
        assert 1 in [e.number for e in read_entries(store)]  # its folder is whole


def table(file: Path, folder: Path) -> None:
    packed = file.read_bytes().startswith(b"PK")
    source = folder / ("t.npz" if packed else "t.csv")
    source.write_bytes(file.read_bytes())
    columns = {"columns": COLUMNS} if packed else {}
    assert tao_lora("import", source if packed else folder, out=folder / "bags", **columns) == 1
    assert not list((folder / "bags").glob("*"))


def labels(file: Path, folder: Path) -> None:
    refused(read_labels, file)


def params(file: Path, folder: Path) -> None:
    refused(read_settings, file)


def bag(file: Path, folder: Path) -> None:
    path = write_ros2(folder / "bag", motion(0.1))
    (path / "metadata.yaml").write_bytes(file.read_bytes().partition(b"\n")[2])

    def read(path: Path) -> None:
        with BagReader(path, source_configs(Settings())) as reader:
            assert reader.duration_s >= 0
            assert reader.message_count
            list(reader.messages())

    refused(read, path)


KINDS = dict(card=card, index=index, label=labels, labels=labels, params=params, bag=bag) | {
    "import": table
}


def check(file: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir()
    KINDS[file.name.partition("_")[0]](file, folder)
    out, err = capsys.readouterr()
    assert err.count("\n") <= 1
    assert (out + err).replace("\n", "").isprintable()
    assert "Traceback" not in err


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*_*")), ids=lambda file: file.name)
def test_ours(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(file, tmp_path / "x", capsys)


def test_the_corpus_is_small_and_of_every_kind() -> None:
    files = sorted(CORPUS.glob("*_*"))
    assert {file.name.partition("_")[0] for file in files} == KINDS.keys() - {"label"}
    assert sum(file.stat().st_size for file in files) < 60_000


def test_what_fuzzing_found(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted((data_folder / "hostile").glob("*_*"))
    if not files:
        pytest.skip(f"nothing in {data_folder / 'hostile'}")
    for file in files:
        try:
            check(file, tmp_path / file.name, capsys)
        except BaseException as error:
            raise AssertionError(f"{file.name}: {type(error).__name__}: {error}") from error
