-- Behavior that is particular to Lua; the conformance suite tests the rest. Run: lua5.4 test/test_client.lua

local here = arg[0]:match("^(.*)/[^/]+$") or "."
package.path = ("%s/../src/?.lua;%s/../src/?/init.lua;%s"):format(here, here, package.path)

local sha256 = require("stemsplitter.sha256")
local stemsplitter = require("stemsplitter")

local function hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

local function equal(given, expected)
  if given ~= expected then
    error(("%s instead of %s"):format(given, expected), 2)
  end
end

local tests = {}

-- FIPS 180-4 examples, and a length at each side of the padding
function tests.sha256_is_that_of_the_standard()
  equal(hex(sha256.sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  equal(hex(sha256.sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  local two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
  equal(hex(sha256.sha256(two_blocks)), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
  equal(hex(sha256.sha256(("a"):rep(55))), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318")
end

-- RFC 4231, cases 2 and 6
function tests.hmac_is_that_of_the_standard()
  local digest = hex(sha256.hmac("Jefe", "what do ya want for nothing?"))
  equal(digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
  digest = hex(sha256.hmac(("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First"))
  equal(digest, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
end

function tests.missing_address_is_returned_as_an_error()
  local client, err = stemsplitter.new({ api_key = "k", base_url = "" })
  equal(client, nil)
  equal(err.code, "CONFIG_ERROR")
end

function tests.refused_connection_is_returned_as_an_error_after_the_retries()
  local slept, lines = 0, {}
  local client = assert(stemsplitter.new({
    api_key = "secret",
    base_url = "http://127.0.0.1:1",
    sleep = function()
      slept = slept + 1
    end,
    log = function(line)
      lines[#lines + 1] = line
    end,
  }))
  local credits, err = client:get_credits()
  equal(credits, nil)
  equal(err.code, "CONNECTION_ERROR")
  equal(slept, 4)
  equal(table.concat(lines):find("secret"), nil)
  for split, failed in client.splits:iterate() do
    equal(split, false)
    equal(failed.code, "CONNECTION_ERROR")
  end
end

function tests.missing_file_is_returned_as_an_error()
  local client = assert(stemsplitter.new({ api_key = "k", base_url = "http://127.0.0.1:1" }))
  local upload, err = client:upload_file("/no/such/file.mp3")
  equal(upload, nil)
  equal(err.code, "UPLOAD_ERROR")
end

local count = 0
for name, test in pairs(tests) do
  local ok, problem = pcall(test)
  if not ok then
    io.stderr:write(name, ": ", tostring(problem), "\n")
    os.exit(1)
  end
  count = count + 1
end
print(count .. " tests passed")
