-- Objects of one kind: the jobs splits, mixes, analyses, effects and speech, which have the same life, deliveries, and
-- webhook endpoints.

local errors = require("stemsplitter.errors")
local json = require("dkjson")
local socket = require("socket")
local transfers = require("stemsplitter.transfers")

local SILENCE_S = 40 -- the server sends a comment every 15 seconds

local Jobs = {}
Jobs.__index = Jobs

--- Return the jobs at a path. Those without events can be neither canceled nor deleted.
function Jobs.new(client, path, has_events)
  return setmetatable({ client = client, path = path, has_events = has_events }, Jobs)
end

--- Return a string as a part of a URL.
function Jobs.escape(text)
  return (text:gsub("[^%w%-._~]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

--- Return the part of a URL with names and values, such as { "limit", 20 }.
function Jobs.query(pairs_)
  local given = {}
  for _, pair in ipairs(pairs_) do
    if pair[2] ~= nil then
      given[#given + 1] = pair[1] .. "=" .. Jobs.escape(tostring(pair[2]))
    end
  end
  return #given > 0 and "?" .. table.concat(given, "&") or ""
end

--- Return the path of a job.
function Jobs:at(id)
  return self.path .. "/" .. Jobs.escape(id)
end

--- Create a job, once even if the request is repeated. `options.idempotency_key` is random by default.
function Jobs:create(request, options)
  local key = options and options.idempotency_key or transfers.random()
  return self.client:request("POST", self.path, { body = request, idempotency_key = key })
end

--- Return a job.
function Jobs:get(id)
  return self.client:request("GET", self:at(id))
end

--- Return a page, newest first: `items` and `nextCursor`. Options: `limit`, `cursor`, `status`; of deliveries also
-- `split_id` and `endpoint_id`.
function Jobs:list(options)
  options = options or {}
  local query = Jobs.query({
    { "limit", options.limit or 20 }, { "cursor", options.cursor },
    { "status", options.status }, { "splitId", options.split_id }, { "endpointId", options.endpoint_id },
  })
  return self.client:request("GET", self.path .. query)
end

--- Iterate over all jobs, newest first. After an error, the last iteration is `false, err`.
function Jobs:iterate(options)
  return coroutine.wrap(function()
    local given = { limit = 100 }
    for name, value in pairs(options or {}) do
      given[name] = value
    end
    repeat
      local page, err = self:list(given)
      if not page then
        coroutine.yield(false, err)
        return
      end
      for _, item in ipairs(page.items) do
        coroutine.yield(item)
      end
      given.cursor = page.nextCursor
    until not given.cursor
  end)
end

--- Cancel a job. It fails with the code CANCELED, and its credits are refunded.
function Jobs:cancel(id)
  local job, err = self.client:request("POST", self:at(id) .. "/cancel")
  if not job and err.status == 409 and err.attempts > 1 then -- the first response was lost
    local found = self:get(id)
    if found and found.error and found.error.code == "CANCELED" then
      return found
    end
  end
  return job, err
end

--- Delete an ended job with its files.
function Jobs:delete(id)
  local deleted, err = self.client:request("DELETE", self:at(id))
  if not deleted and err.status == 404 and err.attempts > 1 then -- the first response was lost
    return { id = id, deleted = true }
  end
  return deleted, err
end

--- Download all files of a succeeded job, or of an id, into a folder. They appear together, when all are complete.
-- Returns the path of each file by its name, such as folder/vocals.mp3.
function Jobs:download(job, folder)
  if type(job) == "string" then
    local found, err = self:get(job)
    if not found then return nil, err end
    job = found
  end
  local links = job.stems or job.outputs or (job.url and { mix = job.url })
  if job.status ~= "succeeded" or not links then
    local reason = job.error and job.error.message or "its status is " .. job.status
    return nil, errors.new("DOWNLOAD_ERROR", ("%s has no files: %s"):format(job.id, reason))
  end
  local files, paths = {}, {}
  for name, url in pairs(links) do
    if not name:match("^%w[%w_-]*$") then
      return nil, errors.new("DOWNLOAD_ERROR", name .. " is not a file name.")
    end
    local file = name .. "." .. (url:gsub("%?.*$", ""):match("%.(%w%w%w?%w?%w?)$") or "audio")
    files[#files + 1] = { name = file, url = url, headers = {} }
    paths[name] = folder .. "/" .. file
  end
  table.sort(files, function(a, b)
    return a.name < b.name
  end)
  local ok, failed = transfers.download(self.client.http, folder, files)
  return ok and paths, failed
end

-- read events until the job has ended, the stream ends, or the deadline; return whether the server has events
local function follow(self, id, deadline, update)
  local text, is_stream = "", false
  local function sink(response, part)
    is_stream = response:is_events()
    text = (text .. part):gsub("\r", "")
    while is_stream do
      local block, rest = text:match("^(.-)\n\n(.*)$")
      if not block then
        break
      end
      text = rest
      local data = ("\n" .. block):match("\ndata:([^\n]*)")
      local job = data and json.decode(data)
      if job and update(job) then
        return false
      end
    end
    return socket.gettime() < deadline
  end
  local _, err = self.client.http:send({
    method = "GET",
    url = self.client.base_url .. self:at(id) .. "/events",
    headers = self.client:headers("text/event-stream"),
    timeout = math.max(0.1, math.min(SILENCE_S, deadline - socket.gettime())),
    sink = sink,
  })
  if err then
    return errors.is_temporary(err) or err.status == 401 or err.status >= 500
  end
  return is_stream
end

--- Return the job when it has succeeded or failed. Uses events, and polls where they are not available. Lost
-- connections and a restart of the server do not end the wait; an error in `on_update` does.
--
-- Options: `timeout_ms` (5 minutes by default), `interval_ms` between polls, and `on_update`, which is called with the
-- job at first and when its status or progress changes.
function Jobs:wait(id, options)
  options = options or {}
  local deadline = socket.gettime() + (options.timeout_ms or 300000) / 1000
  local has_events = self.has_events
  local last, ended
  local function update(job)
    local state = job.status .. " " .. tostring(job.progress)
    if state ~= last and options.on_update then
      options.on_update(job)
    end
    last = state
    ended = (job.status == "succeeded" or job.status == "failed") and job or nil
    return ended
  end
  while true do
    if has_events and socket.gettime() < deadline then
      has_events = follow(self, id, deadline, update)
    end
    if not ended then
      local job, err = self:get(id)
      if job then
        update(job)
      elseif not errors.is_temporary(err) and err.status < 500 then
        return nil, err
      end
    end
    local left = deadline - socket.gettime()
    if ended then
      return ended
    elseif left <= 0 then
      return nil, errors.new("TIMEOUT", "Timed out waiting for " .. id .. ".")
    end
    self.client.http.sleep(math.min((options.interval_ms or 2000) / 1000, left))
  end
end

return Jobs
