-- Saved URLs, which get the webhooks of all jobs. The server disables those that fail for days.

local Jobs = require("stemsplitter.jobs")

local Endpoints = setmetatable({}, { __index = Jobs }) -- for get and delete
Endpoints.__index = Endpoints

--- Return the endpoints of a client.
function Endpoints.new(client)
  return setmetatable(Jobs.new(client, "/webhook_endpoints"), Endpoints)
end

--- Save an endpoint, such as { url = "https://example.com/hook", events = { "audio.split.completed" } }; the event "*"
-- means all. Its signing secret, `secret`, is in this response only.
function Endpoints:create(request)
  return self.client:request("POST", self.path, { body = request, is_once = true })
end

--- Return all endpoints, newest first.
function Endpoints:list()
  return self.client:items(self.path)
end

--- Change `url`, `events`, `description`, or `status`, "enabled" or "disabled", of an endpoint.
function Endpoints:update(id, changes)
  return self.client:request("POST", self:at(id), { body = changes })
end

--- Create a signing secret of an endpoint. The previous one stays active for 24 hours.
function Endpoints:rotate_secret(id)
  return self.client:new_secret(self:at(id) .. "/rotate")
end

--- Send a test event to an endpoint. Returns its delivery.
function Endpoints:send_test(id)
  return self.client:request("POST", self:at(id) .. "/test", { is_once = true })
end

return Endpoints
