-- One request of HTTP/1.1 on a connection of its own.

local json = require("dkjson")
local socket = require("socket")
local url = require("socket.url")

local BLOCK = 1 << 16

local Response = {}
Response.__index = Response

--- Return the parsed body; empty if it is not JSON, as of a proxy.
function Response:json()
  local found = json.decode(self.body or "")
  return type(found) == "table" and found or {}
end

--- Return the seconds of the header Retry-After.
function Response:retry_after()
  return tonumber((self.headers["retry-after"] or ""):match("^%d+$"))
end

function Response:is_events()
  return (self.headers["content-type"] or ""):find("text/event-stream", 1, true) == 1
end

-- names of a certificate must match the host: LuaSec verifies only the chain
local function matches(host, certificate)
  local extensions = certificate and certificate:extensions() or {}
  local names = extensions["2.5.29.17"] or {}
  for _, name in ipairs(names.dNSName or {}) do
    local parent = name:match("^%*(%..+)$")
    if name:lower() == host:lower() or parent and host:lower():match("^[^.]+(%..+)$") == parent:lower() then
      return true
    end
  end
  for _, address in ipairs(names.iPAddress or {}) do
    if address == host then
      return true
    end
  end
  return false
end

local function connect(target, timeout, tls)
  local is_tls = target.scheme == "https"
  local tcp = assert(socket.tcp())
  tcp:settimeout(timeout)
  local ok, err = tcp:connect(target.host, tonumber(target.port) or (is_tls and 443 or 80))
  if not ok or not is_tls then
    return ok and tcp, err
  end
  local ssl = require("ssl")
  local options = { mode = "client", protocol = "any", options = "all", verify = "peer", capath = "/etc/ssl/certs" }
  for name, value in pairs(tls or {}) do
    options[name] = value
  end
  local secure, failed = ssl.wrap(tcp, options)
  if not secure then return nil, failed end
  secure:settimeout(timeout)
  secure:sni(target.host)
  ok, err = secure:dohandshake()
  if ok and not matches(target.host, secure:getpeercertificate()) then
    return nil, "the certificate is not of " .. target.host
  end
  return ok and secure, err
end

local function send(connection, request, target)
  local path = (target.path or "/") .. (target.query and "?" .. target.query or "")
  local host = target.host .. (target.port and ":" .. target.port or "")
  local lines = { request.method .. " " .. path .. " HTTP/1.1", "host: " .. host, "connection: close" }
  for name, value in pairs(request.headers) do
    lines[#lines + 1] = name .. ": " .. value
  end
  local body = request.body or ""
  if request.method ~= "GET" and request.method ~= "HEAD" then
    lines[#lines + 1] = ("content-length: %d"):format(request.size or #body)
  end
  local ok, err = connection:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. body)
  local left = request.size or 0
  while ok and left > 0 do
    local part = request.source(math.min(left, BLOCK))
    if not part then
      return nil, "the file became shorter"
    end
    left = left - #part
    ok, err = connection:send(part)
  end
  return ok, err
end

local function read_head(connection)
  local line, err = connection:receive("*l")
  local status = line and line:match("^HTTP/%S+ (%d+)")
  if not status then
    return nil, err or "the response is not HTTP"
  end
  local response = setmetatable({ status = tonumber(status), headers = {} }, Response)
  repeat
    line, err = connection:receive("*l")
    if not line then return nil, err end
    local name, value = line:match("^([^:]+):%s*(.-)%s*$")
    if name then
      response.headers[name:lower()] = value
    end
  until line == ""
  return response.status == 100 and read_head(connection) or response
end

-- pass `length` bytes to the sink
local function read_bytes(connection, length, sink)
  while length > 0 do
    local part, err, rest = connection:receive(math.min(length, BLOCK))
    local found = part or rest or ""
    if #found > 0 and not sink(found) then
      return false
    end
    if not part then return nil, err end
    length = length - #part
  end
  return true
end

local function read_chunks(connection, sink)
  while true do
    local line, err = connection:receive("*l")
    local size = line and tonumber(line:match("^%x+"), 16)
    if not size then
      return nil, err or "a chunk is malformed"
    end
    if size == 0 then
      return true
    end
    local ok, failed = read_bytes(connection, size, sink)
    if not ok then
      return ok, failed
    end
    connection:receive("*l")
  end
end

-- until the connection is closed; by lines, since events must not wait for a full block
local function read_rest(connection, sink)
  while true do
    local line, err, rest = connection:receive("*l")
    local part = line and line .. "\n" or rest
    if #part > 0 and not sink(part) then
      return false
    end
    if not line then
      return err == "closed" or nil, err
    end
  end
end

local M = {}

--- Send a request and read its response.
--
-- `request` has `method`, `url`, `headers`, `timeout` in seconds that the connection may be silent, `tls` options of
-- LuaSec; `body`, a string, or its `size` and `source`, a function that returns the next part of at most a number of
-- bytes; `sink`, a function that receives the response and each part of its body if it is not an error, and returns
-- whether to continue. Returns the response, or nil and the reason why the connection was lost.
function M.exchange(request)
  local target = url.parse(request.url)
  if not target.host or target.scheme ~= "http" and target.scheme ~= "https" then
    return nil, "the address is not of HTTP"
  end
  local connection, err = connect(target, request.timeout, request.tls)
  if not connection then return nil, err end
  local _, broken = send(connection, request, target)
  local response, failed = read_head(connection) -- the server may respond before it has read all
  if not response then
    connection:close()
    return nil, broken or failed
  end
  local parts = {}
  local function sink(part)
    if request.sink and response.status < 400 then
      return request.sink(response, part)
    end
    parts[#parts + 1] = part
    return true
  end
  local ok = true
  local length = tonumber(response.headers["content-length"])
  if request.method ~= "HEAD" and response.status ~= 204 then
    if response.headers["transfer-encoding"] == "chunked" then
      ok, failed = read_chunks(connection, sink)
    elseif length then
      ok, failed = read_bytes(connection, length, sink)
    else
      ok, failed = read_rest(connection, sink)
    end
  end
  connection:close()
  response.body = table.concat(parts)
  if ok == nil then return nil, failed end
  return response
end

return M
