rockspec_format = "3.0"
package = "stemsplitter"
version = "0.1.0-1"
source = {
  url = "git+https://github.com/stemsplitter/stemsplitter-lua.git",
  tag = "v0.1.0",
}
description = {
  summary = "Client of the Stem Splitter API: separate songs into stems",
  homepage = "https://github.com/stemsplitter/stemsplitter/tree/main/sdks/lua",
  license = "MIT",
  labels = { "audio", "music", "api" },
}
dependencies = {
  "lua >= 5.4",
  "luasocket >= 3.0",
  "luasec >= 1.0",
  "dkjson >= 2.5",
}
build = {
  type = "builtin",
  modules = {
    ["stemsplitter"] = "src/stemsplitter/init.lua",
    ["stemsplitter.connection"] = "src/stemsplitter/connection.lua",
    ["stemsplitter.endpoints"] = "src/stemsplitter/endpoints.lua",
    ["stemsplitter.errors"] = "src/stemsplitter/errors.lua",
    ["stemsplitter.http"] = "src/stemsplitter/http.lua",
    ["stemsplitter.jobs"] = "src/stemsplitter/jobs.lua",
    ["stemsplitter.sha256"] = "src/stemsplitter/sha256.lua",
    ["stemsplitter.transfers"] = "src/stemsplitter/transfers.lua",
    ["stemsplitter.webhooks"] = "src/stemsplitter/webhooks.lua",
  },
}
