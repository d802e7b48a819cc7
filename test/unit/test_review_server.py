"""The review page's server answers its own page alone, and shows no picture that is none."""

from __future__ import annotations

import http.client
import json
import re
import socket
import struct
from dataclasses import replace

import numpy as np
import pytest
from browser import serving
from event_records import event
from pictures import IMAGE, TIMES_NS, camera, compressed, image

from tao_lora_ros.messages.raw_data import RawMessages
from tao_lora_ros.preservation.event_catalogue import read_entries
from tao_lora_ros.preservation.event_labels import read_labels
from tao_lora_ros.preservation.event_record import StoreError, Topic
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.report.review_data import picture
from tao_lora_ros.report.review_server import ReviewServer


@pytest.fixture
def server(tmp_path):
    with EventStore(tmp_path, 2**30, 0) as store:
        store.append(event(0, peak_score=float("inf")))
    with serving(ReviewServer(tmp_path)) as opened:
        yield opened


def ask(server, path, body=None, **headers):
    """Status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    given = {"X-Token": server.token} | {k.replace("_", "-"): v for k, v in headers.items()}
    connection.request("POST" if body is not None else "GET", path, body, given)
    answer = connection.getresponse()
    return answer.status, answer.read()


def labels(server):
    return read_labels(server.store, read_entries(server.store))


def test_it_listens_on_loopback_alone(server) -> None:
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "headers", [{"X_Token": ""}, {"X_Token": "é"}, {"Host": "evil.example"}, {"Host": ""}]
)
def test_other_sites_neither_read_nor_label(server, headers) -> None:
    assert ask(server, "/events", **headers)[0] == 403
    assert ask(server, "/events/1", '{"label": "x"}', **headers)[0] == 403
    assert labels(server) == {}


def test_no_request_ends_in_a_trace(server, capfd) -> None:
    digits = "9" * 5000  # more than Python makes a number of
    for path in (f"/events/{digits}", f"/events/1/picture?topic=x&n={digits}"):
        status, said = ask(server, path)
        assert (status, b"limit" in said) == (500, True)
    assert ask(server, "/events/1", "{}", Content_Length=digits)[0] == 413
    for _ in range(10):  # a browser that goes away before its answer
        gone = socket.create_connection(("127.0.0.1", server.server_port))
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n"
        gone.sendall(10 * request.encode())
        gone.close()
    assert ask(server, "/events")[0] == 200
    assert capfd.readouterr().err == ""


def test_the_page_holds_no_token_and_runs_no_foreign_script(server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    page = answer.read().decode()
    assert server.token not in page
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    # Nothing from a network: one address in a comment of the library that draws.
    assert re.findall(r"\w+://\S+", page) == ["https://github.com/leeoniya/uPlot"]


def test_labels_and_undo(server) -> None:
    status, body = ask(server, "/events/1", '{"label": "slip"}')
    assert (status, json.loads(body)["label"]) == (200, "slip")
    assert labels(server)[1].name == "slip"
    assert ask(server, "/events/1", '{"undo": true}')[0] == 200
    assert labels(server) == {}
    status, body = ask(server, "/events/1", '{"undo": true}')
    assert status == 409
    assert json.loads(body)["error"].endswith("event 1 has no label to take back")


@pytest.mark.parametrize("body", ["", "[]", "{", '{"label": 3}', '{"label": "a\\nb"}', "[" * 4000])
def test_what_is_no_label_is_refused(server, body) -> None:
    assert ask(server, "/events/1", body)[0] == 409
    assert labels(server) == {}


def test_a_body_without_end_is_refused(server) -> None:
    assert ask(server, "/events/1", "x" * 5000)[0] == 413


@pytest.mark.parametrize(
    "path", ["/events/9", "/events/x", "/../lock", "/events/1/picture?n=0&topic=x", "/events/1/a"]
)
def test_what_is_not_there(server, path) -> None:
    status, body = ask(server, path)
    assert status == 409
    assert json.loads(body)["error"]


def test_the_list_is_json_also_of_numbers_that_are_none(server) -> None:
    _, body = ask(server, "/events")
    found = json.loads(body, parse_constant=lambda name: pytest.fail(name))
    assert found["events"][0]["peak_score"] is None
    assert found["names"] == ["impact"]


def with_picture(data: bytes, msgtype: str = IMAGE):
    record = event(0)
    messages = Topic("/camera", msgtype), RawMessages(np.array(TIMES_NS[:1]), (data,))
    return replace(record, received=(*record.received, messages))


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8"])
def test_pictures_are_png(encoding) -> None:
    kind, data = picture(with_picture(image(encoding)), "/camera", 0)
    assert kind == "image/png"
    assert data.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "data",
    [image("16UC1"), image(height=9000), image(width=6), image(width=0), image()[:40], b""],
    ids=["depth", "too high", "too wide", "empty", "cut", "nothing"],
)
def test_what_is_no_picture_is_said(data) -> None:
    with pytest.raises(StoreError, match="picture"):
        picture(with_picture(data), "/camera", 0)


def test_a_topic_that_is_no_camera_has_no_picture() -> None:
    with pytest.raises(StoreError, match="no picture 0 of /camera"):
        picture(with_picture(image(), "std_msgs/msg/String"), "/camera", 0)


def test_a_compressed_picture_is_what_its_bytes_say() -> None:
    topic, messages = compressed()
    record = replace(event(0), received=((topic, messages), camera()))
    assert picture(record, topic.name, 0)[0] == "image/png"
    topic, messages = compressed(b"<script>")
    with pytest.raises(StoreError, match="JPEG or PNG"):
        picture(replace(event(0), received=((topic, messages),)), topic.name, 0)
