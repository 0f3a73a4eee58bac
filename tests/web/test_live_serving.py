"""The web server of the live page: read-only, for whom it is meant, bounded, and nothing that leads elsewhere."""

from __future__ import annotations

import json
import re
import socket
from importlib import resources

import pytest
from asking import ask

from smug_recon.errors import ConfigurationError
from smug_recon.web import LivePage, serving
from smug_recon.web.answers import FILES
from smug_recon.web.serving import MOST_CONNECTIONS, is_asked_for


@pytest.mark.parametrize("path", [*FILES, "/api/sessions", "/api/sessions?again"])
def test_what_is_there_is_served_and_says_what_a_browser_may_do_with_it(page, path):
    status, headers, body = ask(page, path)
    assert status == 200 and body
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/api/sessions", "/nothing"])
def test_head_is_get_without_the_body(page, path):
    status, headers, body = ask(page, path, "HEAD")
    same, others, content = ask(page, path)
    assert (status, body) == (same, b"") and content
    assert headers["Content-Type"] == others["Content-Type"]
    assert int(others["Content-Length"]) == len(content)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "MOVE"])
def test_nothing_but_get_and_head_is_answered(page, method):
    status, headers, _ = ask(page, "/api/sessions", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    ["/page/index.html", "/../setup.cfg", "/%2e%2e/setup.cfg", "/live.js/", "/sessions/1/../../etc/passwd",
     "/sessions/0/1.png", "/sessions/1/1.png", "/sessions/1/report.html", "/api/sessions/7", "/api/sessions/-1",
     "/api/sessions/99999999999999999999", "/favicon.ico"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(page, path):
    status, headers, body = ask(page, path)
    assert status == 404 and headers["Content-Type"].startswith("text/plain") and len(body) < 200


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:9022", "localhost:80", "[::1]:9022", "[::1]", "192.168.2.1:1", "localhost"],
)
def test_an_address_is_a_host_of_this_page(host):
    assert is_asked_for(host, "127.0.0.1")


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:9022", "127.0.0.1.evil.example", "localhost.evil.example:80", "[evil]:80",
     "127.0.0.1:80:80", "127.0.0.1:x", "user@127.0.0.1"],
)  # fmt: skip
def test_a_name_that_was_made_to_point_here_is_refused(page, host):
    assert not is_asked_for(host, "127.0.0.1")
    status, _, body = ask(page, "/api/sessions", Host=host)
    assert status == 403 and b"boot" not in body


def test_the_name_that_the_page_listens_on_is_its_host():
    assert is_asked_for("console.local:80", "console.local") and not is_asked_for(
        "console.local", "127.0.0.1"
    )


@pytest.mark.parametrize("hosts", [b"", b"Host: 127.0.0.1\r\nHost: evil.example\r\n"])
def test_no_host_and_two_hosts_are_refused(page, hosts):
    with socket.create_connection(("127.0.0.1", page.port), timeout=20) as connection:
        connection.sendall(b"GET /api/sessions HTTP/1.1\r\n" + hosts + b"\r\n")
        assert b" 403 " in connection.recv(100)


def test_lengths_are_bounded(page):
    for sent, expected in (
        (b"GET /" + b"a" * 70000, b" 414 "),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b" 431 "),
    ):
        with socket.create_connection(("127.0.0.1", page.port), timeout=20) as connection:
            connection.sendall(sent)
            answered = b""
            try:
                while part := connection.recv(4096):
                    answered += part
            except ConnectionResetError:  # what was sent too much has not been read
                pass
            assert expected in answered.split(b"\r\n")[0]


def test_connections_are_few_and_short(page, monkeypatch):
    monkeypatch.setattr(serving, "LONGEST_S", 1e9)
    idle = [socket.create_connection(("127.0.0.1", page.port), timeout=20) for _ in range(MOST_CONNECTIONS)]
    while len(page._server._open) < MOST_CONNECTIONS:
        pass
    with socket.create_connection(("127.0.0.1", page.port), timeout=20) as further:
        assert further.recv(100).startswith(b"HTTP/1.1 503 ")
    monkeypatch.setattr(serving, "LONGEST_S", 0.0)
    for connection in idle:  # all are cut, whether or not they say something now and then
        assert connection.recv(100) == b""
        connection.close()
    monkeypatch.setattr(serving, "LONGEST_S", 15.0)
    while page._server._open:
        pass
    assert ask(page, "/")[0] == 200


def test_a_port_in_use_is_said(house, page):
    with pytest.raises(ConfigurationError, match=f"port {page.port} for the live page"):
        LivePage(house, page.port)


def test_another_address_than_loopback_is_warned_of(house, caplog):
    page = LivePage(house, 0, "0.0.0.0")
    page.close()
    assert "images of the patients" in caplog.text
    caplog.clear()
    page = LivePage(house, 0, "0.0.0.0", images=False)
    page.close()
    assert "sees the sessions, unencrypted" in caplog.text


def test_the_page_needs_nothing_from_elsewhere_and_no_script_or_style_in_line():
    folder = resources.files("smug_recon.web") / "page"
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?:|url\(|@import|//[a-z]", text), path.name
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|innerHTML|document\.write|eval\(", text), (
            path.name
        )
        assert path.name in {file.name for file, _ in FILES.values()}


def test_the_overview_is_json_that_names_the_server(page, house):
    found = json.loads(ask(page, "/api/sessions")[2])
    assert found["server"]["limit"] == house.settings.sessions and found["server"]["boot"]
    assert (found["running"], found["past"], found["health"]["level"]) == ([], [], "good")
