-- Verification of webhooks.

local errors = require("stemsplitter.errors")
local json = require("dkjson")
local mime = require("mime")
local sha256 = require("stemsplitter.sha256")

local HEADER = "aistemsplitter-signature"

local M = {}

local function is_equal(a, b) -- in constant time
  local difference = #a ~ #b
  for i = 1, math.min(#a, #b) do
    difference = difference | a:byte(i) ~ b:byte(i)
  end
  return difference == 0
end

local function check(unix, tolerance, now, expected, given)
  if not unix:match("^%d+$") or #unix > 11 then
    return "The timestamp is missing or malformed."
  end
  if math.abs(now - tonumber(unix)) > tolerance then
    return "The timestamp differs from the time by more than " .. tolerance .. " seconds."
  end
  for _, each in ipairs(given) do
    if is_equal(each, expected) then
      return nil
    end
  end
  return "No signature matches the body and the secret."
end

local function check_own(body, value, secret, tolerance, now)
  local given, times = {}, {}
  for part in value:gmatch("[^,%s]+") do
    given[#given + 1] = part
    times[#times + 1] = part:match("^t=(.*)$")
  end
  if #times ~= 1 then
    return "AIStemSplitter-Signature is malformed."
  end
  local digest = sha256.hmac(secret, times[1] .. "." .. body):gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end)
  return check(times[1], tolerance, now, "v1=" .. digest, given)
end

local function check_standard(body, headers, secret, tolerance, now)
  local unix = headers["webhook-timestamp"] or ""
  local key = mime.unb64((secret:gsub("^whsec_", ""))) or ""
  local signed = (headers["webhook-id"] or "") .. "." .. unix .. "." .. body
  local given = {}
  for part in headers["webhook-signature"]:gmatch("%S+") do
    given[#given + 1] = part
  end
  return check(unix, tolerance, now, "v1," .. mime.b64(sha256.hmac(key, signed)), given)
end

--- Verify a webhook. Returns its event, or nil and an error with the code INVALID_SIGNATURE.
--
-- `body` is the raw body, `headers` the headers of the request or the value of AIStemSplitter-Signature, `secret` the
-- signing secret, `tolerance` the largest age in seconds (300 by default), `now` the Unix time (the present by default).
-- The headers of Standard Webhooks are verified too, if present.
function M.verify(body, headers, secret, tolerance, now)
  tolerance, now = tolerance or 300, now or os.time()
  local given = {}
  for name, value in pairs(type(headers) == "string" and { [HEADER] = headers } or headers) do
    given[name:lower()] = value
  end
  local problem
  if secret == "" or not (given[HEADER] or given["webhook-signature"]) then
    problem = "The request has no signature, or the secret is empty."
  end
  if not problem and given[HEADER] then
    problem = check_own(body, given[HEADER], secret, tolerance, now)
  end
  if not problem and given["webhook-signature"] then
    problem = check_standard(body, given, secret, tolerance, now)
  end
  local event = not problem and json.decode(body)
  if not event then
    return nil, errors.new("INVALID_SIGNATURE", problem or "The body is not JSON.")
  end
  return event
end

return M
