-- Driver of the conformance suite: see sdks/conformance/PROTOCOL.md.

local here = arg[0]:match("^(.*)/[^/]+$") or "."
package.path = ("%s/src/?.lua;%s/src/?/init.lua;%s"):format(here, here, package.path)

local json = require("dkjson")
local socket = require("socket")
local stemsplitter = require("stemsplitter")

local client
local slept

local function list()
  return setmetatable({}, { __jsontype = "array" })
end

local function new(c)
  return stemsplitter.new({
    api_key = c.apiKey,
    base_url = c.baseUrl,
    chunk_bytes = c.chunkBytes,
    sleep = function(seconds)
      slept[#slept + 1] = seconds
      if not c.isFast then
        socket.sleep(seconds)
      end
    end,
  })
end

local function form(c)
  return { format = c.format, bit_depth = c.bitDepth, bitrate = c.bitrate, timeout_ms = c.timeout * 1000 }
end

local operations = {
  credits = function()
    return client:get_credits()
  end,
  models = function()
    return client:list_models()
  end,
  voices = function()
    return client:list_voices()
  end,
  upload = function(c)
    local progress = list()
    local found, err = client:upload_file(c.path, {
      filename = c.filename,
      on_progress = function(sent)
        progress[#progress + 1] = sent
      end,
    })
    return found and { upload = found, progress = progress }, err
  end,
  create = function(c, jobs)
    return jobs:create(c.request, { idempotency_key = c.idempotencyKey })
  end,
  get = function(c, jobs)
    return jobs:get(c.id)
  end,
  chords = function(c, jobs)
    local job, err = jobs:get(c.id)
    return job and (job.analysis or job).chords, err
  end,
  wait = function(c, jobs)
    local updates = list()
    local function on_update(job)
      updates[#updates + 1] = job.progress or json.null
    end
    local job, err = jobs:wait(c.id, { timeout_ms = c.timeout * 1000, on_update = on_update })
    return job and { job = job, updates = updates }, err
  end,
  list = function(c, jobs)
    local ids = list()
    for job, err in jobs:iterate({ status = c.status, split_id = c.splitId, endpoint_id = c.endpointId }) do
      if not job then
        return nil, err
      end
      ids[#ids + 1] = job.id
    end
    return ids
  end,
  cancel = function(c, jobs)
    return jobs:cancel(c.id)
  end,
  delete = function(c, jobs)
    return jobs:delete(c.id)
  end,
  download = function(c, jobs)
    return jobs:download(c.id, c.folder)
  end,
  stem = function(c)
    return client:download_stem(c.id, c.name, c.path, form(c))
  end,
  cover = function(c)
    return client:download_cover(c.id, c.path)
  end,
  peaks = function(c)
    return client:get_peaks(c.id, c.resolution)
  end,
  previews = function(c)
    return client:get_previews(c.id, c.codec)
  end,
  archive = function(c)
    return client:download_archive(c.id, c.path, form(c))
  end,
  rotate = function()
    return client:rotate_webhook_secret()
  end,
  test_webhook = function(c)
    return client:send_test_webhook(c.url)
  end,
  secrets = function()
    return client:list_webhook_secrets()
  end,
  replay = function(c)
    return client:replay_delivery(c.id)
  end,
  create_endpoint = function(c)
    return client.webhook_endpoints:create(c.request)
  end,
  get_endpoint = function(c)
    return client.webhook_endpoints:get(c.id)
  end,
  list_endpoints = function()
    return client.webhook_endpoints:list()
  end,
  update_endpoint = function(c)
    return client.webhook_endpoints:update(c.id, c.request)
  end,
  delete_endpoint = function(c)
    return client.webhook_endpoints:delete(c.id)
  end,
  rotate_endpoint = function(c)
    return client.webhook_endpoints:rotate_secret(c.id)
  end,
  test_endpoint = function(c)
    return client.webhook_endpoints:send_test(c.id)
  end,
  verify = function(c)
    return stemsplitter.verify_webhook(c.body, c.headers, c.secret, c.tolerance, c.now)
  end,
}

local function told(err)
  return {
    code = err.code, status = err.status, message = err.message, requestId = err.request_id, docUrl = err.doc_url,
    param = err.param, retryAfter = err.retry_after, requiredSeconds = err.required_seconds, balance = err.balance,
  }
end

for line in io.lines() do
  local c = json.decode(line, 1, json.null)
  for name, value in pairs(c) do
    c[name] = value ~= json.null and value or nil
  end
  slept = list()
  local value, err
  if c.op == "new" then
    client, err = new(c)
  else
    local jobs = client and (c.kind == "mixes" and client:mixes(c.split) or client[c.kind or "splits"])
    value, err = operations[c.op](c, jobs)
  end
  local result = err and { error = told(err) } or { ok = value or json.null }
  result.slept = slept
  io.write(json.encode(result), "\n")
  io.flush()
end
