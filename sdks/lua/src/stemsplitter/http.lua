-- HTTP with timeouts and retries.

local connection = require("stemsplitter.connection")
local errors = require("stemsplitter.errors")
local socket = require("socket")

local FIRST_DELAY_S, MAX_DELAY_S, MAX_RETRY_AFTER_S = 0.5, 8, 120

local Http = { VERSION = "0.1.0" }
Http.__index = Http

function Http.new(options)
  return setmetatable({
    timeout = options.timeout or 60,
    max_retries = options.max_retries or 4,
    sleep = options.sleep or socket.sleep,
    log = options.log or function() end,
    tls = options.tls,
  }, Http)
end

--- Send a request once; see connection.lua. Returns the response, or nil and the error.
function Http:send(request)
  request.headers["user-agent"] = "stemsplitter-lua/" .. Http.VERSION
  request.timeout = request.timeout or self.timeout
  request.tls = self.tls
  local response, reason = connection.exchange(request)
  if not response then
    return nil, errors.new("CONNECTION_ERROR", ("%s %s failed: %s."):format(request.method, request.url, reason))
  end
  if response.status >= 400 then
    return nil, errors.of(response)
  end
  return response
end

--- Send a request until it succeeds. Responses 429 are always repeated; lost connections and errors of the server only
-- without `is_once`. The sink may change `headers` of the next attempt.
function Http:request(request)
  for attempt = 1, math.huge do
    local response, err = self:send(request)
    if response then
      return response
    end
    err.attempts = attempt
    -- 409: the server is doing it for the same idempotency key
    local is_busy = err.status == 429 or err.status == 409 and err.retry_after
    local again = is_busy or not request.is_once and errors.is_temporary(err)
    if not again or attempt > self.max_retries or (err.retry_after or 0) > MAX_RETRY_AFTER_S then
      return nil, err
    end
    self:pause(attempt, err)
  end
end

--- Wait before the next attempt, as long as the server asks for, else exponentially longer with jitter.
function Http:pause(attempt, err)
  local delay = math.min(FIRST_DELAY_S * 2 ^ (attempt - 1), MAX_DELAY_S) * (0.5 + math.random() / 2)
  delay = err.retry_after or delay
  self.log(("retry %d in %.1f s: %s"):format(attempt, delay, tostring(err)))
  self.sleep(delay)
end

return Http
