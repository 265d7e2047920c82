-- Errors: tables with `message`, `status` of HTTP (0 if there was no response), `code`, `details` (the parsed response)
-- and `attempts`; of the API also `request_id`, `doc_url`, `param`, `required_seconds`, `balance` and `retry_after`.

local M = {}

local Error = {}
Error.__index = Error

function Error:__tostring()
  return self.code .. ": " .. self.message
end

--- Return an error.
function M.new(code, message, status, details)
  return setmetatable({
    code = code, message = message, status = status or 0, details = details, attempts = 1,
  }, Error)
end

--- Return the error of a response: in the envelope, flat as of upload URLs, or of a proxy.
function M.of(response)
  local body = response:json()
  local found = type(body.error) == "table" and body.error or {}
  if type(body.error) == "string" then
    found = { code = body.error, message = body.message or body.error }
  end
  local message = found.message or ("The request failed with status %d."):format(response.status)
  local err = M.new(found.code or "HTTP_ERROR", message, response.status, body)
  err.request_id, err.doc_url, err.param = found.requestId, found.docUrl, found.param
  err.required_seconds, err.balance = found.requiredSeconds, found.balance
  err.retry_after = response:retry_after()
  return err
end

--- Return whether the connection was lost.
function M.is_lost(err)
  return err.code == "CONNECTION_ERROR"
end

local RETRIED = { [408] = true, [429] = true, [500] = true, [502] = true, [503] = true, [504] = true }

--- Return whether the same request may succeed later.
function M.is_temporary(err)
  return M.is_lost(err) or RETRIED[err.status] or false
end

return M
