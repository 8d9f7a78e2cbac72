"""Tests of refused requests, and of the headers of all responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from audiogan import Generator


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:8642", True),
        ("localhost:9000", True),
        ("LOCALHOST", True),
        ("[::1]:8642", True),
        ("evil.example", False),
        ("evil.example:8642", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("evil.example@localhost", True),  # The text before @ is not part of the host. Browsers do not send it.
        ("localhost@evil.example", False),
        ("192.168.1.7:8642", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_hosts(client: TestClient, host: str, allowed: bool) -> None:
    answer = client.get("/api/model", headers={"Host": host})
    assert answer.status_code == (200 if allowed else 403)
    assert allowed or list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://127.0.0.1:8642", True),
        ("http://127.0.0.1:9999", False),
        ("http://localhost:8642", False),  # The origin differs from the address of the request.
        ("https://evil.example", False),
        ("http://127.0.0.1:8642.evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_origins(client: TestClient, origin: str, allowed: bool) -> None:
    answer = client.post("/api/sounds", json={"seed": 1}, headers={"Origin": origin})
    assert answer.status_code == (200 if allowed else 403)


def test_requests_of_other_sites_without_an_origin(client: TestClient) -> None:
    picture = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get("/api/model", headers=picture).status_code == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/model", "/static/studio.css", "/nothing"])
def test_every_answer_is_guarded(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert "content-security-policy" in client.get(path, headers={"Host": "evil.example"}).headers


def test_a_studio_for_others_wants_its_token(drums: Generator) -> None:
    from starlette.testclient import TestClient

    from audiogan.studio import create_app

    app = create_app(drums, host="192.168.1.7", token="secret-words")
    client = TestClient(app, base_url="http://192.168.1.7:8642", follow_redirects=False)
    for path in ("/", "/api/model", "/?token=", "/?token=wrong", "/?token=%ff", "/static/main.js"):
        assert client.get(path).status_code == 403
    assert client.get("/", headers={"Authorization": "Bearer wrong"}).status_code == 403
    assert client.get("/", headers={"Cookie": "audiogan-8642=wrong"}).status_code == 403
    assert client.get("/api/model", headers={"Authorization": "Bearer secret-words"}).status_code == 200
    assert client.get("/?token=secret-words", headers={"Host": "evil.example"}).status_code == 403
    answer = client.get("/?token=secret-words")
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    assert (
        "httponly" in answer.headers["set-cookie"].lower() and "samesite=strict" in answer.headers["set-cookie"].lower()
    )
    assert client.get("/").status_code == 200  # After this, the cookie is sufficient.
    assert client.get(f"{client.base_url}//evil.example/?token=secret-words").headers["location"] == "/evil.example/"


def test_any_address_but_no_foreign_name_where_it_listens_everywhere(drums: Generator) -> None:
    from starlette.testclient import TestClient

    from audiogan.studio import create_app

    client = TestClient(create_app(drums, host="0.0.0.0", token="t"), headers={"Authorization": "Bearer t"})
    assert client.get("/api/model", headers={"Host": "10.1.2.3:8642"}).status_code == 200
    assert client.get("/api/model", headers={"Host": "evil.example"}).status_code == 403


def test_a_model_of_pictures_is_no_instrument(drums: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    from audiogan.errors import UserError
    from audiogan.modalities import Image
    from audiogan.studio import create_app

    monkeypatch.setattr(drums, "modality", Image())
    with pytest.raises(UserError, match="plays sounds"):
        create_app(drums)
