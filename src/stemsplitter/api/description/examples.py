"""Examples for the API's description: an answer, and where there is one a body, for every call."""

from typing import Any, Final

from stemsplitter.audio.formats import FORMATS

_ID: Final = "split_0Yx3kQpAb2Jd7MfTn5Rv8W"
_UPLOAD_ID: Final = "upl_0Yx3kQpAb2Jd7MfTn5Rv8W"
_HOST: Final = "https://stems.example.com"
_CREATED: Final = "2026-05-03T10:20:30.000Z"
_UPDATED: Final = "2026-05-03T10:21:14.512Z"
_FORMATS: Final = [f"'{name}'" for name in FORMATS]
_FORMAT_NAMES: Final = f"{', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}"
_STEMS: Final = ("vocals", "drums", "bass", "guitar", "piano", "other")

# code → status, when, what an answer holds beside the code
ERRORS: Final[dict[str, tuple[int, str, dict[str, Any]]]] = {
    "UNAUTHORIZED": (
        401,
        "The API key is missing, malformed, unknown or revoked.",
        {"message": "Missing or invalid API key"},
    ),
    "INSUFFICIENT_CREDITS": (
        402,
        "The balance does not cover the source's seconds.",
        {
            "message": "This split needs 214 credits and the balance is 100: add credits first.",
            "requiredSeconds": 214,
            "balance": 100,
        },
    ),
    "NOT_FOUND": (404, "There is no such thing in this account.", {"message": "There is no such split."}),
    "METHOD_NOT_ALLOWED": (
        405,
        "The path does not take this method.",
        {"message": "This path does not take this method: see the header Allow."},
    ),
    "CONFLICT": (
        409,
        "A request with this idempotency key is under way, or the state does not allow the action.",
        {"message": "A request with this idempotency key is under way: wait for it, then send it again."},
    ),
    "PAYLOAD_TOO_LARGE": (
        413,
        "The body is larger than the path takes.",
        {"message": "The body is larger than this path takes."},
    ),
    "UNSUPPORTED_MEDIA_TYPE": (
        415,
        "The body is of a type that the path does not take.",
        {"message": "Send the body as application/json."},
    ),
    "VALIDATION_ERROR": (
        422,
        "The request is malformed, or its source cannot be fetched, decoded, or is over a limit.",
        {
            "message": f"outputFormat: Input should be {_FORMAT_NAMES}.",
            "param": "outputFormat",
        },
    ),
    "RATE_LIMITED": (
        429,
        "Over the key's requests a minute, or too many splits wait.",
        {"message": "Rate limit exceeded: 60 create requests per minute. Retry in 30 s."},
    ),
    "SERVER_ERROR": (
        500,
        "Anything unexpected.",
        {"message": "Something went wrong here: report the request id req_7f3a09c4d1e85b26a0f9c3."},
    ),
    "UNAVAILABLE": (
        503,
        "The server's database or its store of files does not answer. Retry-After tells when to try again.",
        {
            "message": "The server's store of files does not answer, so nothing was done: send the request again in a "
            "while."
        },
    ),
}

# what a call can meet beside the errors that its form tells (a key, a body, an id in the path)
MORE_ERRORS: Final[dict[str, tuple[str, ...]]] = {
    "createUpload": ("CONFLICT",),
    "createSplit": ("INSUFFICIENT_CREDITS", "CONFLICT", "NOT_FOUND"),
    "cancelSplit": ("CONFLICT",),
    "deleteSplit": ("CONFLICT",),
    "getSplitArchive": ("CONFLICT",),
}

# operation → operations that take something of its answer, and what
_OF_SPLIT: Final = {"split_id": "$response.body#/data/id"}
_OF_UPLOAD: Final = {
    "upload_id": "$response.body#/data/uploadId",
    "x-upload-token": "$response.body#/data/uploadHeaders/X-Upload-Token",
}
_OF_DELIVERY: Final = {"delivery_id": "$response.body#/data/id"}
LINKS: Final[dict[str, dict[str, dict[str, str]]]] = {
    "createUpload": {"sendFile": _OF_UPLOAD, "putFile": _OF_UPLOAD},
    "createSplit": {
        "getSplit": _OF_SPLIT,
        "streamSplitEvents": _OF_SPLIT,
        "cancelSplit": _OF_SPLIT,
        "getSplitArchive": _OF_SPLIT,
        "deleteSplit": _OF_SPLIT,
    },
    "sendWebhookTest": {"getWebhookDelivery": _OF_DELIVERY, "replayWebhookDelivery": _OF_DELIVERY},
}

_SPLIT: Final[dict[str, Any]] = {
    "id": _ID,
    "status": "succeeded",
    "stemModel": "6s",
    "filename": "song.mp3",
    "durationSeconds": 214,
    "creditsUsed": 214,
    "createdAt": _CREATED,
    "updatedAt": _UPDATED,
    "progress": 100,
    "outputFormat": "mp3",
    "expiresAt": "2026-05-10T10:20:30.000Z",
    "stems": {name: f"{_HOST}/files/MTc3ODQw…/{name}.mp3" for name in _STEMS},
    "error": None,
    "model": {"name": "builtin_6s", "licence": "MIT"},
    "processing": {"device": "cpu", "seconds": 43.1, "realtimeFactor": 0.2},
    "metadata": {"album": "demo"},
}
_FAILED: Final[dict[str, Any]] = _SPLIT | {
    "status": "failed",
    "progress": 40,
    "stems": None,
    "error": {"code": "CANCELED", "message": "The split was canceled; its credits were given back."},
    "processing": None,
}

# event → what happened, the split it tells of
WEBHOOKS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "audio.split.completed": ("A split has succeeded.", _SPLIT),
    "audio.split.failed": ("A split has failed or was canceled.", _FAILED),
}

_DELIVERY: Final[dict[str, Any]] = {
    "id": "dlv_0Yx3kQpAb2Jd7MfTn5Rv8W",
    "event": "audio.split.completed",
    "eventId": "evt_0Yx3kQpAb2Jd7MfTn5Rv8W",
    "splitId": _ID,
    "url": "https://example.com/webhooks/stems",
    "status": "delivered",
    "attempts": 1,
    "lastStatus": 204,
    "lastError": None,
    "nextAttemptAt": None,
    "createdAt": _UPDATED,
    "updatedAt": _UPDATED,
}
_TEST_DELIVERY: Final[dict[str, Any]] = _DELIVERY | {
    "event": "webhook.test",
    "splitId": None,
    "status": "pending",
    "attempts": 0,
    "lastStatus": None,
    "nextAttemptAt": _UPDATED,
}

_SENT: Final = {"url": f"{_HOST}/uploads/{_UPLOAD_ID}", "key": f"uploads/{_UPLOAD_ID}/source"}

# operation → a body, and the `data` of its answer
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "getCredits": {"response": {"balance": 6200, "unit": "seconds"}},
    "listModels": {
        "response": {
            "items": [
                {
                    "name": "builtin_6s",
                    "title": "Built in, six stems",
                    "stems": list(_STEMS),
                    "licence": "MIT",
                    "licenceNote": "Trained by this project on songs rendered from instruments, kits and voices "
                    "whose licences allow it; docs/model-card.md names them all.",
                    "source": {
                        "url": "",
                        "authors": "The Stem Splitter contributors",
                        "paper": "after Choi et al., Investigating U-Nets with various intermediate blocks, "
                        "ISMIR 2020",
                    },
                    "quality": {},
                    "ready": True,
                }
            ]
        }
    },
    "createUpload": {
        "request": {"filename": "song.mp3", "contentType": "audio/mpeg", "contentLength": 5138201},
        "response": {
            "uploadId": _UPLOAD_ID,
            "uploadUrl": f"{_HOST}/uploads/{_UPLOAD_ID}",
            "uploadHeaders": {"X-Upload-Token": "5r9vRZna0VbgxGggnqLzpkqWQ2Jd7MfT"},
            "expiresAt": "2026-05-03T11:20:30.000Z",
            "directUpload": {
                "method": "PUT",
                "url": f"https://stems.s3.eu-central-1.amazonaws.com/uploads/{_UPLOAD_ID}/direct.mp3?X-Amz-Signature=…",
                "headers": {"Content-Type": "audio/mpeg"},
                "fileUrl": f"{_HOST}/uploads/{_UPLOAD_ID}",
                "storageKey": f"uploads/{_UPLOAD_ID}/direct.mp3",
            },
        },
    },
    "sendFile": {"response": _SENT},
    "putFile": {"response": _SENT},
    "sendChunk": {"response": _SENT},
    "createSplit": {
        "request": {
            "input": {"type": "direct_url", "url": "https://example.com/song.mp3"},
            "stemModel": "6s",
            "outputFormat": "mp3",
            "webhookUrl": "https://example.com/webhooks/stems",
            "metadata": {"album": "demo"},
        },
        "response": {"id": _ID, "status": "queued", "creditsUsed": 214, "createdAt": _CREATED},
    },
    "deleteSplit": {"response": {"id": _ID, "deleted": True}},
    "getSplit": {"response": _SPLIT},
    "listSplits": {"response": {"items": [_SPLIT], "nextCursor": None}},
    "cancelSplit": {"response": _FAILED},
    "listWebhookDeliveries": {"response": {"items": [_DELIVERY], "nextCursor": None}},
    "getWebhookDelivery": {
        "response": _DELIVERY
        | {
            "payload": '{"event":"audio.split.completed","data":{}}',
            "log": [
                {
                    "at": _UPDATED,
                    "statusCode": 204,
                    "error": None,
                    "durationMs": 83,
                    "responseExcerpt": "",
                }
            ],
        }
    },
    "replayWebhookDelivery": {
        "response": _DELIVERY | {"status": "pending", "attempts": 0, "lastStatus": None}
    },
    "sendWebhookTest": {
        "request": {"url": "https://example.com/webhooks/stems"},
        "response": _TEST_DELIVERY,
    },
    "listWebhookSecrets": {
        "response": {
            "items": [
                {
                    "id": "whs_0Yx3kQpAb2Jd7MfTn5Rv8W",
                    "prefix": "whsec_MfKQ9r",
                    "createdAt": _CREATED,
                    "expiresAt": None,
                }
            ]
        }
    },
    "rotateWebhookSecret": {"response": {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}},
}
