-- SHA-256 (FIPS 180-4) and HMAC (RFC 2104).

local M = {}

-- the first 32 bits of the fractional parts of the cube roots (K) and square roots (H) of the first primes
local K, H = {}, {}
do
  local function bits(root)
    return math.floor((root % 1) * 2 ^ 32)
  end
  local n = 2
  while #K < 64 do
    local is_prime = true
    for divisor = 2, math.floor(n ^ 0.5) do
      is_prime = is_prime and n % divisor ~= 0
    end
    if is_prime then
      K[#K + 1] = bits(n ^ (1 / 3))
      H[#H + 1] = #H < 8 and bits(n ^ 0.5) or nil
    end
    n = n + 1
  end
end

local function rotate(x, n)
  return (x >> n | x << (32 - n)) & 0xffffffff
end

--- Return the SHA-256 of a string, 32 bytes.
function M.sha256(message)
  local zeros = ("\0"):rep((55 - #message) % 64)
  local padded = message .. "\128" .. zeros .. (">I8"):pack(#message * 8)
  local state = { table.unpack(H) }
  local w = {}
  for start = 1, #padded, 64 do
    for i = 1, 16 do
      w[i] = (">I4"):unpack(padded, start + 4 * (i - 1))
    end
    for i = 17, 64 do
      local x, y = w[i - 15], w[i - 2]
      local s0 = rotate(x, 7) ~ rotate(x, 18) ~ x >> 3
      local s1 = rotate(y, 17) ~ rotate(y, 19) ~ y >> 10
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) & 0xffffffff
    end
    local a, b, c, d, e, f, g, h = table.unpack(state)
    for i = 1, 64 do
      local s1 = rotate(e, 6) ~ rotate(e, 11) ~ rotate(e, 25)
      local t1 = h + s1 + (e & f ~ ~e & g) + K[i] + w[i]
      local s0 = rotate(a, 2) ~ rotate(a, 13) ~ rotate(a, 22)
      local t2 = s0 + (a & b ~ a & c ~ b & c)
      a, b, c, d, e, f, g, h = (t1 + t2) & 0xffffffff, a, b, c, (d + t1) & 0xffffffff, e, f, g
    end
    for i, value in ipairs({ a, b, c, d, e, f, g, h }) do
      state[i] = (state[i] + value) & 0xffffffff
    end
  end
  return (">I4I4I4I4I4I4I4I4"):pack(table.unpack(state))
end

--- Return the HMAC of a string with SHA-256, 32 bytes.
function M.hmac(key, message)
  key = #key > 64 and M.sha256(key) or key
  key = key .. ("\0"):rep(64 - #key)
  local function pad(byte)
    return (key:gsub(".", function(c)
      return string.char(c:byte() ~ byte)
    end))
  end
  return M.sha256(pad(0x5c) .. M.sha256(pad(0x36) .. message))
end

return M
