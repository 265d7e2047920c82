"""Route of upload reservations."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from stemsplitter.api.dependencies import CallerDep, ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, JsonResponse
from stemsplitter.api.idempotency import IdempotencyDep
from stemsplitter.idempotency.service import Record
from stemsplitter.uploads.schemas import UploadRequest, UploadReservation

router = APIRouter(tags=["Uploads"])

_ID = "upl_0Yx3kQpAb2Jd7MfTn5Rv8W"
_URL = f"https://stems.example.com/uploads/{_ID}"
_RESERVED = {
    "uploadId": _ID,
    "uploadUrl": _URL,
    "uploadHeaders": {"X-Upload-Token": "5r9vRZna0VbgxGggnqLzpkqWQ2Jd7MfT", "Content-Type": "audio/mpeg"},
    "expiresAt": "2026-05-03T11:20:30.000Z",
    "directUpload": {
        "method": "PUT",
        "url": f"https://stems.s3.eu-central-1.amazonaws.com/uploads/{_ID}/direct.mp3?X-Amz-Signature=…",
        "headers": {"Content-Type": "audio/mpeg"},
        "fileUrl": _URL,
        "storageKey": f"uploads/{_ID}/direct.mp3",
    },
}
_OF_UPLOAD = {
    "upload_id": "$response.body#/data/uploadId",
    "x-upload-token": "$response.body#/data/uploadHeaders/X-Upload-Token",
}


@router.post(
    "/v1/audio/uploads",
    response_model=Envelope[UploadReservation],
    operation_id="createUpload",
    openapi_extra=documented(
        request={"filename": "song.mp3", "contentType": "audio/mpeg", "contentLength": 5138201},
        response=_RESERVED,
        errors=("CONFLICT",),
        links={"sendFile": _OF_UPLOAD, "putFile": _OF_UPLOAD},
    ),
)
def create_upload(
    body: UploadRequest, services: ServicesDep, caller: CallerDep, idempotency: IdempotencyDep
) -> JsonResponse:
    """Reserve an upload. Then send the bytes of the file to `uploadUrl` with `uploadHeaders`, or as described by
    `directUpload`, if present."""

    def create(record: Record) -> Mapping[str, Any]:
        uploads = services.uploads
        with services.database.write() as session:
            upload, token = uploads.reserve(
                session, caller.account_id, body.filename, body.content_type, body.content_length
            )
            reservation = UploadReservation(
                upload_id=upload.id,
                upload_url=uploads.url(upload.id),
                upload_headers={"X-Upload-Token": token, "Content-Type": upload.content_type},
                expires_at=upload.expires_at,
                direct_upload=uploads.direct(upload),
            )
            data = reservation.model_dump(mode="json", by_alias=True)
            record(session, data)
        return data

    return idempotency.run(body, create)
