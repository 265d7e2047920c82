-- Uploads in chunks, which continue after a lost connection, and downloads, complete or not at all.

local errors = require("stemsplitter.errors")
local socket = require("socket")

local MAX_FAILURES = 10 -- without progress: the server needs up to a minute to detect that a connection was lost
local MAX_HOPS = 5
local TEMPORARY = { UPLOAD_INCOMPLETE = true, UPLOAD_IN_PROGRESS = true, UPLOAD_OFFSET_MISMATCH = true }
local TYPES = {
  flac = "audio/flac", m4a = "audio/mp4", mp3 = "audio/mpeg", mp4 = "video/mp4", ogg = "audio/ogg", wav = "audio/wav",
}

local M = {}

--- Return the media type of a file, from its name.
function M.content_type_of(name)
  return TYPES[(name:match("%.(%w+)$") or ""):lower()] or "application/octet-stream"
end

local function send_chunk(http, upload, file, offset, length)
  file:seek("set", offset)
  return http:send({
    method = "PATCH",
    url = upload.uploadUrl,
    headers = {
      ["x-upload-token"] = upload.uploadHeaders["X-Upload-Token"],
      ["content-type"] = "application/partial-upload",
      ["upload-offset"] = ("%d"):format(offset),
      ["upload-complete"] = offset + length == upload.size and "?1" or "?0",
    },
    size = length,
    source = function(count)
      return file:read(count)
    end,
  })
end

--- Send a file to a reserved upload, whose `size` is set. Returns `url` and `key`.
function M.upload(http, upload, file, chunk_bytes, on_progress)
  local offset, failures = 0, 0
  while true do
    local length = math.min(chunk_bytes, upload.size - offset)
    local response, err = send_chunk(http, upload, file, offset, length)
    if response then
      offset, failures = offset + length, 0
      on_progress(offset, upload.size)
      if offset == upload.size then
        return response:json().data
      end
    else
      failures = failures + 1
      if not (errors.is_temporary(err) or TEMPORARY[err.code]) or failures > MAX_FAILURES then
        return nil, err
      end
      if err.code ~= "UPLOAD_OFFSET_MISMATCH" then
        http:pause(failures, err)
      end
      local token = { ["x-upload-token"] = upload.uploadHeaders["X-Upload-Token"] }
      local found, lost = http:request({ method = "HEAD", url = upload.uploadUrl, headers = token })
      if not found then return nil, lost end
      local stored = tonumber(found.headers["upload-offset"])
      failures = stored > offset and 0 or failures
      offset = stored
    end
  end
end

-- download into a file; continue after a lost connection, wait until the server has it, follow redirects without the key
local function download(http, from, path, timeout)
  local deadline = socket.gettime() + timeout
  local name = path:match("[^/]+$")
  local file, problem = io.open(path, "w+b")
  if not file then
    return nil, errors.new("DOWNLOAD_ERROR", problem)
  end
  local url, headers, written, hops = from.url, from.headers, 0, 0
  local first, failed
  local function sink(response, part)
    if response ~= first then
      first = response
      if response.status == 200 and written > 0 then
        file:close()
        file, written = assert(io.open(path, "w+b")), 0
      end
    end
    if response.status == 200 or response.status == 206 then
      _, failed = file:write(part)
      written = written + #part
      local etag = (response.headers.etag or ""):match('^".*$')
      headers.range, headers["if-range"] = etag and ("bytes=%d-"):format(written), etag
    end
    return not failed
  end
  local function finish(code, message)
    file:close()
    return nil, errors.new(code, name .. " " .. message)
  end
  while true do
    local response, err = http:request({ method = "GET", url = url, headers = headers, sink = sink })
    if failed then
      return finish("DOWNLOAD_ERROR", "could not be written: " .. failed)
    elseif not response and errors.is_lost(err) then
      return finish("DOWNLOAD_ERROR", "was not received completely: " .. err.message)
    elseif not response then
      file:close()
      return nil, err
    elseif response.status == 200 or response.status == 206 then
      return file:close()
    elseif response.headers.location and hops < MAX_HOPS then
      url, headers, hops = response.headers.location, {}, hops + 1
    elseif response.status ~= 202 then
      return finish("DOWNLOAD_ERROR", ("was not received: status %d."):format(response.status))
    elseif socket.gettime() >= deadline then
      return finish("TIMEOUT", "was not made in time.")
    else
      http.sleep(response:retry_after() or 1)
    end
  end
end

local function make_folder(folder)
  local probe = folder .. "/.stems-" .. M.random()
  local file = io.open(probe, "wb")
  if file then
    file:close()
    return os.remove(probe)
  end
  return os.execute("mkdir -p -- '" .. folder:gsub("'", "'\\''") .. "'") -- Lua cannot make folders
end

--- Download files into a folder, where they appear together when all are complete.
--
-- `files` are tables with `name`, `url` and `headers`. Returns true, or nil and the error.
function M.download(http, folder, files, timeout)
  if not make_folder(folder) then
    return nil, errors.new("DOWNLOAD_ERROR", folder .. " cannot be written.")
  end
  local prefix = folder .. "/.stems-" .. M.random() .. "-"
  local ok, err = true, nil
  for _, file in ipairs(files) do
    if ok then
      ok, err = download(http, file, prefix .. file.name, timeout or 0)
    end
  end
  for _, file in ipairs(files) do
    if ok then
      ok, err = os.rename(prefix .. file.name, folder .. "/" .. file.name)
    else
      os.remove(prefix .. file.name)
    end
  end
  return ok, type(err) == "string" and errors.new("DOWNLOAD_ERROR", err) or err
end

--- Return 32 random hexadecimal digits, other ones in each process.
function M.random()
  return ("%016x%016x"):format(math.random(0), math.random(0))
end

return M
