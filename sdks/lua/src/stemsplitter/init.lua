--- Client of the Stem Splitter API. Methods return the `data` of the API's responses, or nil and an error; see errors.lua.

local Endpoints = require("stemsplitter.endpoints")
local Http = require("stemsplitter.http")
local Jobs = require("stemsplitter.jobs")
local errors = require("stemsplitter.errors")
local json = require("dkjson")
local transfers = require("stemsplitter.transfers")
local webhooks = require("stemsplitter.webhooks")

local Client = {}
Client.__index = Client

local M = {
  VERSION = Http.VERSION,
  null = json.null, -- of JSON, such as the gain of a stem that is left out
  verify_webhook = webhooks.verify,
}

--- Return a client, or nil and an error if there is no key or no address.
--
-- Options: `api_key` (the environment variable STEMSPLITTER_KEY by default), `base_url`, with or without /v1
-- (STEMSPLITTER_URL), `timeout` in seconds that a connection may be silent (60), `max_retries` (4), `chunk_bytes` of
-- uploads, `sleep` (waits a number of seconds), `log` (receives a line before each retry), `tls` (options of LuaSec).
function M.new(options)
  options = options or {}
  local key = options.api_key or os.getenv("STEMSPLITTER_KEY") or ""
  local address = (options.base_url or os.getenv("STEMSPLITTER_URL") or ""):gsub("/+$", ""):gsub("/v1$", "")
  if key == "" or address == "" then
    local message = "Missing API key or address: pass api_key and base_url, or set STEMSPLITTER_KEY and STEMSPLITTER_URL."
    return nil, errors.new("CONFIG_ERROR", message)
  end
  local client = setmetatable({
    api_key = key,
    base_url = address .. "/v1",
    chunk_bytes = options.chunk_bytes or 8 << 20,
    http = Http.new(options),
  }, Client)
  for _, kind in ipairs({ "splits", "analyses", "effects", "speech" }) do
    client[kind] = Jobs.new(client, "/audio/" .. kind, true)
  end
  client.webhook_endpoints = Endpoints.new(client)
  client.deliveries = Jobs.new(client, "/webhooks/deliveries")
  return client
end

--- Return the mixes of a split. They can be neither canceled nor deleted: they end with the split.
function Client:mixes(split_id)
  return Jobs.new(self, self.splits:at(split_id) .. "/mixes", false)
end

--- Return `balance`, in seconds of audio.
function Client:get_credits()
  return self:request("GET", "/credits")
end

--- Return the models of the server, the preferred one first.
function Client:list_models()
  return self:items("/models")
end

--- Return the voices of speech.
function Client:list_voices()
  return self:items("/voices")
end

--- Reserve an upload of `filename`, `content_type` and `content_length`.
function Client:create_upload(request)
  local body = {
    filename = request.filename,
    contentType = request.content_type or transfers.content_type_of(request.filename),
    contentLength = request.content_length,
  }
  return self:request("POST", "/audio/uploads", { body = body, idempotency_key = transfers.random() })
end

local function upload(client, file, size, options)
  local reserved, err = client:create_upload({
    filename = options.filename, content_type = options.content_type, content_length = size,
  })
  if not reserved then return nil, err end
  reserved.size = size
  local sent
  sent, err = transfers.upload(client.http, reserved, file, client.chunk_bytes, options.on_progress or function() end)
  if not sent then return nil, err end
  local input = { type = "uploaded_file", uploadId = reserved.uploadId, fileUrl = sent.url, storageKey = sent.key }
  return {
    uploadId = input.uploadId, fileUrl = input.fileUrl, storageKey = input.storageKey,
    expiresAt = reserved.expiresAt, input = input,
  }
end

--- Upload a file in chunks; continues after a lost connection. `input` of the result is the input of a job.
--
-- Options: `filename`, `content_type`, and `on_progress`, which is called with the bytes sent and the size.
function Client:upload_file(path, options)
  local file, problem = io.open(path, "rb")
  if not file then
    return nil, errors.new("UPLOAD_ERROR", problem)
  end
  local given = { filename = path:match("[^/]+$") }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  local found, err = upload(self, file, file:seek("end"), given)
  file:close()
  return found, err
end

--- Upload `data`, a string, as `filename`, like upload_file.
function Client:upload_audio(request)
  local data, at = request.data, 0
  local file = {
    seek = function(_, _, offset) at = offset end,
    read = function(_, count)
      local part = data:sub(at + 1, at + count)
      at = at + #part
      return part
    end,
  }
  return upload(self, file, #data, request)
end

--- Create a split: splits:create.
function Client:create_split(request, options)
  return self.splits:create(request, options)
end

--- Return a split: splits:get.
function Client:get_split(id)
  return self.splits:get(id)
end

--- Return the split when it has ended: splits:wait.
function Client:wait_for_split(id, options)
  return self.splits:wait(id, options)
end

local function download(client, from, path, options)
  options = options or {}
  local query = Jobs.query({
    { "format", options.format }, { "bitDepth", options.bit_depth }, { "bitrate", options.bitrate },
  })
  local folder, name = path:match("^(.*)/([^/]+)$")
  local file = { name = name or path, url = client.base_url .. from .. query, headers = client:headers() }
  local timeout = (options.timeout_ms or 300000) / 1000
  local ok, err = transfers.download(client.http, folder or ".", { file }, timeout)
  return ok and path, err
end

--- Download a stem, or no_ and its name for the song without it, in any format. The file appears when it is complete.
-- Options: `format`, `bit_depth`, `bitrate`, and `timeout_ms` until the server has made it. Returns the path.
function Client:download_stem(split_id, name, path, options)
  return download(self, self.splits:at(split_id) .. "/stems/" .. Jobs.escape(name), path, options)
end

--- Download all stems in a ZIP archive, or with the format stem.mp4 in one Native Instruments Stem file, like
-- download_stem.
function Client:download_archive(split_id, path, options)
  return download(self, self.splits:at(split_id) .. "/archive", path, options)
end

--- Download the cover of the song, a small JPEG. Returns its path, or nil and an error if it has none.
function Client:download_cover(split_id, path)
  return download(self, self.splits:at(split_id) .. "/cover", path)
end

--- Return the peaks of the stems, to draw waveforms: `overview` or `full`.
function Client:get_peaks(split_id, resolution)
  return self:request("GET", self.splits:at(split_id) .. "/peaks" .. Jobs.query({ { "resolution", resolution } }))
end

--- Return links to small files of the stems for a player, in `opus` or `aac`. There is `status` instead of `stems`
-- while the server makes them.
function Client:get_previews(split_id, codec)
  return self:request("GET", self.splits:at(split_id) .. "/previews" .. Jobs.query({ { "codec", codec } }))
end

--- Create a signing secret for URLs that are part of requests. The previous one stays active for 24 hours.
function Client:rotate_webhook_secret()
  return self:new_secret("/webhooks/secrets/rotate")
end

--- Return the active signing secrets, without their values.
function Client:list_webhook_secrets()
  return self:items("/webhooks/secrets")
end

--- Send a test event. Returns its delivery.
function Client:send_test_webhook(url)
  return self:request("POST", "/webhooks/test", { body = { url = url }, is_once = true })
end

--- Deliver an event again. Returns the new delivery.
function Client:replay_delivery(id)
  return self:request("POST", self.deliveries:at(id) .. "/replay", { is_once = true })
end

function Client:new_secret(path)
  local made, err = self:request("POST", path, { is_once = true })
  return made and made.secret, err
end

--- Return the objects of a list without pages.
function Client:items(path)
  local page, err = self:request("GET", path)
  return page and page.items, err
end

function Client:headers(accept)
  return { accept = accept or "application/json", authorization = "Bearer " .. self.api_key }
end

--- Send a request to a path of the API. Options: `body`, `idempotency_key`, and `is_once` if it must not be repeated.
function Client:request(method, path, options)
  options = options or {}
  local headers = self:headers()
  headers["idempotency-key"] = options.idempotency_key
  headers["content-type"] = options.body and "application/json"
  local response, err = self.http:request({
    method = method,
    url = self.base_url .. path,
    headers = headers,
    body = options.body and json.encode(options.body),
    is_once = options.is_once,
  })
  if not response then return nil, err end
  local answer = response:json()
  if answer.data == nil then
    return nil, errors.new("HTTP_ERROR", "The response is not of the API: check base_url.", response.status, answer)
  end
  return answer.data
end

return M
