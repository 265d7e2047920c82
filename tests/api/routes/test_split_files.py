"""Stems in any format, archives and mixes over HTTP."""

import base64
import io

import av
import numpy as np
import pytest
from fastapi.testclient import TestClient

from stemsplitter.quotas.disk import Disk
from stemsplitter.services import Services
from stemsplitter.splits.derived.content import parse_format
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


def test_peaks_are_read_in_two_resolutions(client: TestClient, services: Services, account: Account) -> None:
    split_id, steps = add_finished(services, account.id)
    path = f"/v1/audio/splits/{split_id}/peaks"
    full, overview = (
        client.get(path, params=params, headers=account.headers).json()["data"]
        for params in ({"resolution": "full"}, {})
    )
    assert full["samplesPerPoint"] == 160 and overview["samples"] == steps["drums"].shape[1]
    points = np.frombuffer(base64.b64decode(full["stems"]["drums"]), np.int8).reshape(-1, 2)
    assert len(points) == 25 and (points[:, 0] < 0).all() and (points[:, 1] > 0).all()
    assert list(overview["stems"]) == list(full["stems"]) == list(steps)


@pytest.mark.parametrize(("codec", "decoder"), [("opus", "opus"), ("aac", "aac")])
def test_previews_are_links_to_pieces(
    client: TestClient, services: Services, account: Account, codec: str, decoder: str
) -> None:
    split_id, _ = add_finished(services, account.id)
    path = f"/v1/audio/splits/{split_id}/previews?codec={codec}"
    making = client.get(path, headers=account.headers)
    assert (making.status_code, making.headers["retry-after"]) == (202, "1")
    assert file_maker(services).make_next("wrk_1", background=True)
    index = client.get(path, headers=account.headers).json()["data"]
    assert (index["codec"], index["samples"], list(index)[-1]) == (codec, 24_000, "stems")
    for preview in index["stems"].values():
        (size,) = preview["sizes"]
        part = client.get(preview["url"], headers={"Range": f"bytes=0-{size - 1}"})
        assert part.status_code == 206
        with av.open(io.BytesIO(part.content)) as container:
            assert container.streams.audio[0].codec_context.name.startswith(decoder)


def test_invalid_file_requests_are_refused(client: TestClient, services: Services, account: Account) -> None:
    split_id, _ = add_finished(services, account.id)
    queued = add_split(services, account.id)
    for path, status in (
        (f"{split_id}/stems/tuba", 404),
        (f"{split_id}/stems/vocals?format=exe", 422),
        (f"{split_id}/stems/vocals?format=mp3&bitDepth=16", 422),
        (f"{split_id}/archive?format=flac&bitrate=192", 422),
        (f"{split_id}/mixes/mix_none", 404),
        (f"{split_id}/previews?codec=mp3", 422),
        (f"{split_id}/peaks?resolution=some", 422),
        (f"{queued}/previews", 409),
        (f"{queued}/peaks", 409),
        (f"{queued}/stems/vocals", 409),
    ):
        answer = client.get(f"/v1/audio/splits/{path}", headers=account.headers)
        assert (answer.status_code, answer.json()["success"]) == (status, False), path
    answer = client.post(
        f"/v1/audio/splits/{split_id}/mixes", json={"gains": {"tuba": 0}}, headers=account.headers
    )
    assert answer.status_code == 422 and answer.json()["error"]["param"] == "gains"


def test_files_of_other_accounts_are_not_found(
    client: TestClient, services: Services, account: Account
) -> None:
    with services.database.write() as session:
        other = services.accounts.create_account(session, "other@example.com").id
    split_id, _ = add_finished(services, other)
    mix = services.derived_files.mix(other, split_id, {}, parse_format("mp3"))
    assert file_maker(services).make_next("wrk_1")
    for path in (
        "stems/vocals",
        "stems/no_drums?format=mp3",
        "archive",
        "archive?format=mp3",
        "mixes",
        f"mixes/{mix.id}",
        "peaks",
        "previews",
        "previews?codec=aac",
    ):
        answer = client.get(f"/v1/audio/splits/{split_id}/{path}", headers=account.headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND"), path
    answer = client.post(f"/v1/audio/splits/{split_id}/mixes", json={}, headers=account.headers)
    assert answer.status_code == 404
    own, _ = add_finished(services, account.id)
    foreign = client.get(f"/v1/audio/splits/{own}/mixes/{mix.id}", headers=account.headers)
    assert foreign.status_code == 404


def test_h2_full_disk_refuses_files_and_writes_nothing(
    client: TestClient, services: Services, account: Account
) -> None:
    split_id, _ = add_finished(services, account.id)
    before = [stored.key for stored in services.storage.list_prefix()]
    services.quotas._disk = Disk([services.settings.data_dir], 10**9, lambda folder: 10**9)
    for path in (
        "stems/vocals?format=mp3",
        "archive?format=mp3",
        "archive?format=stem.mp4",
        "previews?codec=aac",
    ):
        answer = client.get(f"/v1/audio/splits/{split_id}/{path}", headers=account.headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60"), path
    answer = client.post(f"/v1/audio/splits/{split_id}/mixes", json={}, headers=account.headers)
    assert answer.status_code == 503
    assert not file_maker(services).make_next("wrk_1")
    assert [stored.key for stored in services.storage.list_prefix()] == before
    with services.database.read() as session:
        assert services.quotas.used(session, account.id) == 0
    stem = client.get(f"/v1/audio/splits/{split_id}/stems/vocals", headers=account.headers)
    assert stem.status_code == 200  # what exists is served
