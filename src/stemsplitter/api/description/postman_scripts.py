"""Scripts of the Postman collection.

A run of the collection uploads a generated tone, splits it, polls, downloads a stem and deletes the split. It sends a
webhook only if the variable ``webhookUrl`` is set, and rotates the signing secret only if ``rotateSecret`` is ``yes``.
"""

from typing import Final, NamedTuple


class Step(NamedTuple):
    """The scripts of a request: ``before`` runs before it, ``test`` checks its response."""

    before: str = ""
    test: str = ""


VARIABLES: Final = {"webhookUrl": "", "rotateSecret": "no", "stem": "vocals"}

SONG_TYPE: Final = "audio/wav"
_SONG_BYTES: Final = 8044
# all bytes are below 128, so that a text can hold them
_SONG = """\
// one second of a tone: WAV, 8 kHz, 8 bits
const number = (value, size) =>
  String.fromCharCode(...Array.from({ length: size }, (_, place) => (value >> (8 * place)) & 255));
const format = number(1, 2) + number(1, 2) + number(8000, 4) + number(8000, 4) + number(1, 2) + number(8, 2);
let tone = '';
for (let place = 0; place < 8000; place += 1) {
  tone += String.fromCharCode(64 + Math.round(60 * Math.sin(place * 0.35)));
}
const song = 'RIFF' + number(8036, 4) + 'WAVEfmt ' + number(16, 4) + format + 'data' + number(8000, 4) + tone;
pm.variables.set('song', song);
"""
_UNLESS_RECEIVED = """\
// a file is received once: to send it in this way, run Create Upload, then only this request
if (pm.collectionVariables.get('storageKey')) {
  pm.execution.skipRequest();
}
"""
_NEEDS_DELIVERY = """\
if (!pm.collectionVariables.get('deliveryId')) {
  pm.execution.skipRequest();
}
"""
_NEEDS_RECEIVER = """\
if (!pm.variables.get('webhookUrl')) {
  pm.execution.skipRequest();
}
"""
_NEEDS_ENDPOINT = """\
if (!pm.collectionVariables.get('endpointId')) {
  pm.execution.skipRequest();
}
"""
_IS_ENDPOINT = """\
pm.test('it is the endpoint', () => pm.expect(result.id).to.equal(pm.collectionVariables.get('endpointId')));
"""
_SECRET_IS_SHOWN = """\
pm.test('the secret is shown once', () => pm.expect(result.secret).to.match(/^whsec_/));
"""
_IS_PENDING = """\
pm.test('the delivery is pending', () => pm.expect(result.status).to.equal('pending'));
"""
_OK = """\
pm.test('status is 200', () => pm.response.to.have.status(200));
"""
_DATA = (
    _OK
    + """\
const result = pm.response.json().data;
"""
)
_MADE = """\
// a file that is being made is asked for again
const asked = Number(pm.variables.get('asked') ?? 0) + 1;
const isMade = pm.response.code !== 202 || asked === 150;
pm.variables.set('asked', isMade ? 0 : asked);
if (isMade) {
  pm.test('status is 200', () => pm.response.to.have.status(200));
} else {
  pm.execution.setNextRequest(pm.info.requestId);
  setTimeout(() => {}, 2000);
}
"""
_RECEIVED = (
    _DATA
    + """\
pm.test('the file was received', () => pm.expect(result.key).to.be.a('string').and.not.empty);
pm.collectionVariables.set('fileUrl', result.url);
pm.collectionVariables.set('storageKey', result.key);
"""
)

# operation → its scripts, in the order of a run
_NEEDS_TOOLS = """\
// costs credits: set the variable tools to yes
if (pm.variables.get('tools') !== 'yes') {
  pm.execution.skipRequest();
}
"""
_JOB = (
    _DATA
    + """\
pm.test('the job is queued', () => pm.expect(result.status).to.equal('queued'));
pm.collectionVariables.set('jobId', result.id);
"""
)


def _job_steps(name: str, plural: str) -> dict[str, Step]:
    """Return the steps after the creation of a job; only that of the analysis is always created."""
    before = "" if name == "Analysis" else _NEEDS_TOOLS
    return {
        f"get{name}": Step(before, _DATA),
        f"stream{name}Events": Step(
            before,
            _OK
            + """\
pm.test('the job ends', () => pm.expect(pm.response.text()).to.match(/"status":"(succeeded|failed)"/));
""",
        ),
        f"list{plural}": Step(test=_DATA),
        f"cancel{name}": Step(
            before,
            """\
pm.test('an ended job cannot be canceled', () => pm.expect(pm.response.code).to.be.oneOf([200, 409]));
""",
        ),
        f"delete{name}": Step(
            before,
            _DATA
            + """\
pm.test('the job is deleted', () => pm.expect(result.deleted).to.equal(true));
""",
        ),
    }


STEPS: Final[dict[str, Step]] = {
    "getCredits": Step(
        test=_DATA
        + """\
pm.test('there are credits', () => pm.expect(result.balance).to.be.at.least(1));
"""
    ),
    "listModels": Step(
        test=_DATA
        + """\
pm.test('there is a model', () => pm.expect(result.items).to.not.be.empty);
"""
    ),
    "createUpload": Step(
        test=_DATA
        + """\
pm.test('the upload is reserved', () => pm.expect(result.uploadUrl).to.include(result.uploadId));
pm.collectionVariables.set('uploadId', result.uploadId);
pm.collectionVariables.set('uploadToken', result.uploadHeaders['X-Upload-Token']);
pm.collectionVariables.unset('storageKey');
"""
    ),
    "getUploadOffset": Step(
        test=_OK
        + """\
pm.test('nothing was received yet', () => pm.expect(pm.response.headers.get('Upload-Offset')).to.equal('0'));
"""
    ),
    "sendFile": Step(_SONG, _RECEIVED),
    "putFile": Step(_UNLESS_RECEIVED + _SONG, _RECEIVED),
    "sendChunk": Step(_UNLESS_RECEIVED + _SONG, _RECEIVED),
    "createSplit": Step(
        test=_DATA
        + """\
pm.test('the split is queued and costs a credit', () => {
  pm.expect(result.status).to.equal('queued');
  pm.expect(result.creditsUsed).to.equal(1);
});
pm.collectionVariables.set('splitId', result.id);
pm.collectionVariables.set('polls', 0);
"""
    ),
    "getSplit": Step(
        test=_DATA
        + """\
const polls = Number(pm.collectionVariables.get('polls')) + 1;
pm.collectionVariables.set('polls', polls);
if (['queued', 'processing'].includes(result.status) && polls < 150) {
  pm.execution.setNextRequest(pm.info.requestId);
  setTimeout(() => {}, 2000);
} else {
  pm.test('the split succeeded', () => pm.expect(result.status).to.equal('succeeded'));
  pm.test('every stem has a URL', () => {
    pm.expect(Object.keys(result.stems)).to.have.lengthOf(6);
    Object.values(result.stems).forEach((url) => pm.expect(url).to.match(/^https?:/));
  });
  pm.collectionVariables.set('stemUrl', result.stems[pm.variables.get('stem')]);
}
"""
    ),
    "downloadStem": Step(
        test=_OK
        + """\
pm.test('the stem is audio', () => {
  pm.expect(pm.response.headers.get('Content-Type')).to.match(/^audio\\//);
  pm.expect(pm.response.responseSize).to.be.above(100);
});
"""
    ),
    "streamSplitEvents": Step(
        test=_OK
        + """\
pm.test('the stream tells the status', () => pm.expect(pm.response.text()).to.include('"status":"succeeded"'));
"""
    ),
    "getSplitArchive": Step(
        test=_MADE
        + """\
if (isMade) {
  pm.test('the archive is a ZIP file', () => pm.expect(pm.response.text().slice(0, 2)).to.equal('PK'));
}
"""
    ),
    "getStem": Step(test=_MADE),
    "getSplitPeaks": Step(test=_DATA),
    "getSplitPreviews": Step(test=_MADE),
    "getSplitCover": Step(test="pm.test('the tone has no cover', () => pm.response.to.have.status(404));\n"),
    "createMix": Step(
        test=_DATA
        + """\
pm.collectionVariables.set('mixId', result.id);
pm.test('the mix has an id', () => pm.expect(result.id).to.match(/^mix_/));
"""
    ),
    "getMix": Step(test=_DATA),
    "listMixes": Step(test=_DATA),
    "createAnalysis": Step(
        test=_DATA
        + """\
pm.test('the analysis of a split is free', () => pm.expect(result.creditsUsed).to.equal(0));
pm.collectionVariables.set('jobId', result.id);
"""
    ),
    **_job_steps("Analysis", "Analyses"),
    "createEffect": Step(_NEEDS_TOOLS, _JOB),
    **_job_steps("Effect", "Effects"),
    "listVoices": Step(test=_DATA),
    "createSpeech": Step(_NEEDS_TOOLS, _JOB),
    **_job_steps("Speech", "Speech"),
    "listSplits": Step(
        test=_DATA
        + """\
pm.test('the split is the newest', () => pm.expect(result.items[0].id).to.equal(pm.collectionVariables.get('splitId')));
"""
    ),
    "cancelSplit": Step(
        test="""\
pm.test('an ended split cannot be canceled', () => pm.expect(pm.response.code).to.be.oneOf([200, 409]));
"""
    ),
    "deleteSplit": Step(
        test=_DATA
        + """\
pm.test('the split is deleted', () => pm.expect(result.deleted).to.equal(true));
"""
    ),
    "sendWebhookTest": Step(
        _NEEDS_RECEIVER,
        _DATA
        + _IS_PENDING
        + """\
pm.collectionVariables.set('deliveryId', result.id);
""",
    ),
    "getWebhookDelivery": Step(
        _NEEDS_DELIVERY,
        _DATA
        + """\
pm.test('it is a test event', () => pm.expect(result.event).to.equal('webhook.test'));
""",
    ),
    "replayWebhookDelivery": Step(
        _NEEDS_DELIVERY,
        _DATA
        + """\
pm.test('it is another delivery', () => pm.expect(result.id).to.not.equal(pm.collectionVariables.get('deliveryId')));
""",
    ),
    "listWebhookDeliveries": Step(
        test=_DATA
        + """\
pm.test('deliveries are listed', () => pm.expect(result.items).to.be.an('array'));
"""
    ),
    "createWebhookEndpoint": Step(
        _NEEDS_RECEIVER,
        _DATA
        + _SECRET_IS_SHOWN
        + """\
pm.collectionVariables.set('endpointId', result.id);
""",
    ),
    "listWebhookEndpoints": Step(
        test=_DATA
        + """\
pm.test('endpoints are listed', () => pm.expect(result.items).to.be.an('array'));
"""
    ),
    "getWebhookEndpoint": Step(_NEEDS_ENDPOINT, _DATA + _IS_ENDPOINT),
    "updateWebhookEndpoint": Step(
        _NEEDS_ENDPOINT,
        _DATA
        + _IS_ENDPOINT
        + """\
pm.test('the endpoint is disabled', () => pm.expect(result.status).to.equal('disabled'));
""",
    ),
    "rotateWebhookEndpointSecret": Step(
        _NEEDS_ENDPOINT,
        _DATA + _SECRET_IS_SHOWN,
    ),
    "testWebhookEndpoint": Step(
        _NEEDS_ENDPOINT,
        _DATA + _IS_PENDING,
    ),
    "deleteWebhookEndpoint": Step(
        _NEEDS_ENDPOINT,
        _DATA
        + """\
pm.test('the endpoint is deleted', () => pm.expect(result.deleted).to.equal(true));
""",
    ),
    "listWebhookSecrets": Step(
        test=_DATA
        + """\
pm.test('secrets are listed', () => pm.expect(result.items).to.be.an('array'));
"""
    ),
    "rotateWebhookSecret": Step(
        """\
// receivers need the new secret, so it is rotated only on request: set the variable rotateSecret to yes
if (pm.variables.get('rotateSecret') !== 'yes') {
  pm.execution.skipRequest();
}
""",
        _DATA + _SECRET_IS_SHOWN,
    ),
}

# operation → body of its request in a run
BODIES: Final[dict[str, object]] = {
    "createUpload": {"filename": "tone.wav", "contentType": SONG_TYPE, "contentLength": _SONG_BYTES},
    "createSplit": {
        "input": {
            "type": "uploaded_file",
            "uploadId": "{{uploadId}}",
            "fileUrl": "{{fileUrl}}",
            "storageKey": "{{storageKey}}",
        },
        "stemModel": "6s",
        "outputFormat": "mp3",
    },
    "createAnalysis": {"input": {"type": "split", "id": "{{splitId}}"}},
    "createEffect": {"input": {"type": "split", "id": "{{splitId}}"}, "effect": "nightcore"},
    "sendWebhookTest": {"url": "{{webhookUrl}}"},
    "createWebhookEndpoint": {"url": "{{webhookUrl}}", "events": ["*"], "description": "Postman"},
}
# parameter → its value in a run
PARAMETERS: Final = {
    "split_id": "{{splitId}}",
    "mix_id": "{{mixId}}",
    "job_id": "{{jobId}}",
    "name": "vocals",
    "upload_id": "{{uploadId}}",
    "delivery_id": "{{deliveryId}}",
    "endpoint_id": "{{endpointId}}",
    "x-upload-token": "{{uploadToken}}",
    "Upload-Offset": "0",
    "Upload-Complete": "?1",
}
