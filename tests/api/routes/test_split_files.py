"""Stems in any format, archives and mixes over HTTP."""

from fastapi.testclient import TestClient

from stemsplitter.services import Services
from tests.console.songs import add_finished, add_split
from tests.services import file_maker

from ..conftest import Account


def test_stem_is_made_then_redirected_to(client: TestClient, services: Services, account: Account) -> None:
    split_id, _ = add_finished(services, account.id)
    path = f"/v1/audio/splits/{split_id}/stems/no_drums?format=flac&bitDepth=16"
    making = client.get(path, headers=account.headers)
    assert (making.status_code, making.headers["retry-after"]) == (202, "1")
    assert making.json()["data"]["status"] == "queued"
    assert file_maker(services).make_next("wrk_1")
    ready = client.get(path, headers=account.headers, follow_redirects=False)
    assert ready.status_code == 302
    file = client.get(ready.headers["location"])
    assert file.content[:4] == b"fLaC"
    assert 'filename="Lied (no_drums).flac"' in file.headers["content-disposition"]


def test_mix_is_one_resource_of_its_content(client: TestClient, services: Services, account: Account) -> None:
    split_id, _ = add_finished(services, account.id)
    path = f"/v1/audio/splits/{split_id}/mixes"
    body = {"gains": {"vocals": -6, "drums": None}, "pan": {"bass": -0.2}, "format": "mp3", "bitrate": 192}
    first, again = (client.post(path, json=body, headers=account.headers).json()["data"] for _ in range(2))
    assert first["id"] == again["id"] and first["url"] is None
    assert file_maker(services).make_next("wrk_1")
    made = client.get(f"{path}/{first['id']}", headers=account.headers).json()["data"]
    assert (made["status"], made["gains"]["drums"], made["pan"]) == ("succeeded", None, {"bass": -0.2})
    assert len(client.get(made["url"]).content) == made["size"]
    listed = client.get(path, headers=account.headers).json()["data"]
    assert [mix["id"] for mix in listed["items"]] == [made["id"]] and listed["nextCursor"] is None


def test_invalid_file_requests_are_refused(client: TestClient, services: Services, account: Account) -> None:
    split_id, _ = add_finished(services, account.id)
    queued = add_split(services, account.id)
    for path, status in (
        (f"{split_id}/stems/tuba", 404),
        (f"{split_id}/stems/vocals?format=exe", 422),
        (f"{split_id}/stems/vocals?format=mp3&bitDepth=16", 422),
        (f"{split_id}/archive?format=flac&bitrate=192", 422),
        (f"{split_id}/mixes/mix_none", 404),
        (f"{queued}/stems/vocals", 409),
    ):
        answer = client.get(f"/v1/audio/splits/{path}", headers=account.headers)
        assert (answer.status_code, answer.json()["success"]) == (status, False), path
    answer = client.post(
        f"/v1/audio/splits/{split_id}/mixes", json={"gains": {"tuba": 0}}, headers=account.headers
    )
    assert answer.status_code == 422 and answer.json()["error"]["param"] == "gains"
