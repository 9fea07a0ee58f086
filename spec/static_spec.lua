-- Files of a folder: what is there, and what must not be.

local server = require "spec.support.server"
local http = require "spec.support.http"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app {}
app:channel("news", {})
app:get("/route.txt", function() return "the route" end)
app:static("/", "public")
app:static("/assets", "other")
app:static("/strict", "public", {
  fallback = "index.html",
  headers = { ["Content-Security-Policy"] = "default-src 'self'", ["Referrer-Policy"] = "no-referrer" },
})
return app
]]

local types = {
  ["index.html"] = "text/html; charset=utf-8",
  ["style.css"] = "text/css; charset=utf-8",
  ["code.js"] = "text/javascript; charset=utf-8",
  ["code.mjs"] = "text/javascript; charset=utf-8",
  ["data.json"] = "application/json",
  ["plain.txt"] = "text/plain; charset=utf-8",
  ["icon.svg"] = "image/svg+xml",
  ["photo.png"] = "image/png",
  ["photo.jpg"] = "image/jpeg",
  ["photo.webp"] = "image/webp",
  ["icon.ico"] = "image/vnd.microsoft.icon",
  ["font.woff2"] = "font/woff2",
  ["code.wasm"] = "application/wasm",
  ["UPPER.HTML"] = "text/html; charset=utf-8",
  ["unknown.xyz"] = "application/octet-stream",
  ["noextension"] = "application/octet-stream",
}

describe("static files", function()
  local app
  local large = ("0123456789abcdef"):rep(600000)

  setup(function()
    local files = {
      ["secret.txt"] = "the secret",
      ["public/sub/index.html"] = "the index of sub",
      ["public/sub/ä b.txt"] = "umlaut",
      ["public/bare/file.txt"] = "file",
      ["public/large.bin"] = large,
      ["public/empty.txt"] = "",
      ["public/route.txt"] = "the file",
      ["public/%2e%2e.txt"] = "percent",
      ["public/.hidden"] = "hidden",
      ["publicity/near.txt"] = "a folder whose name only begins alike",
      ["other/in.txt"] = "in other",
    }
    for name in pairs(types) do
      files["public/" .. name] = "content of " .. name
    end
    app = server.start { script = script, files = files }
    local links =
      "ln -s ../secret.txt out.txt && ln -s .. up && ln -s plain.txt in.txt && ln -s loop loop && mkfifo pipe"
    server.run(("cd %s/public && %s"):format(app.folder, links))
  end)

  teardown(function()
    app:stop()
  end)

  for name, content_type in pairs(types) do
    it("have a type: " .. name, function()
      local response = http.get(app, "/" .. name)
      assert.equal(200, response.status)
      assert.equal("content of " .. name, response.body)
      assert.equal(content_type, response.headers["content-type"])
      assert.equal("nosniff", response.headers["x-content-type-options"])
    end)
  end

  it("are the index of their folder", function()
    assert.equal("content of index.html", http.get(app, "/").body)
    assert.equal("the index of sub", http.get(app, "/sub/").body)
    local response = http.get(app, "/sub?x=1") -- so that relative links of the page are right
    assert.equal(308, response.status)
    assert.equal("/sub/?x=1", response.headers.location)
  end)

  it("are not listed", function()
    assert.equal(404, http.get(app, "/bare/").status)
    assert.equal("file", http.get(app, "/bare/file.txt").body)
  end)

  it("may have any name, percent-encoded", function()
    assert.equal("umlaut", http.get(app, "/sub/%C3%A4%20b.txt").body)
    assert.equal("percent", http.get(app, "/%252e%252e.txt").body)
    assert.equal("content of plain.txt", http.get(app, "/plain.txt?version=2").body)
  end)

  it("may be large or empty", function()
    assert.is_true(http.get(app, "/large.bin").body == large)
    local response = http.get(app, "/empty.txt")
    assert.equal(200, response.status)
    assert.equal("0", response.headers["content-length"])
  end)

  it("are sent to a client that reads late, while others are served", function()
    local late = http.connect(app)
    late:send(http.format("GET", "/large.bin"))
    assert.equal("content of plain.txt", http.get(app, "/plain.txt").body)
    assert.is_true(late:read_response().body == large)
    late:close()
  end)

  it("survive a client that hangs up in the middle", function()
    for _ = 1, 20 do
      local client = http.connect(app)
      client:send(http.format("GET", "/large.bin"))
      client:read_head()
      client:close()
    end
    assert.equal(200, http.get(app, "/plain.txt").status)
  end)

  it("come behind routes, and from the folder with the longest path", function()
    assert.equal("the route", http.get(app, "/route.txt").body)
    assert.equal("in other", http.get(app, "/assets/in.txt").body)
    assert.equal(404, http.get(app, "/assets/plain.txt").status)
    assert.equal(404, http.get(app, "/assetsin.txt").status)
  end)

  it("have a head without a body", function()
    local client = http.connect(app)
    client:send(http.format("HEAD", "/large.bin") .. http.format("GET", "/plain.txt"))
    local head = client:read_response "HEAD"
    assert.equal(200, head.status)
    assert.equal(tostring(#large), head.headers["content-length"])
    assert.equal("content of plain.txt", client:read_response().body)
    client:close()
  end)

  it(
    "have the headers of their mount, also when unchanged or the fallback, and nothing else has",
    function()
      local policy = "default-src 'self'"
      local response = http.get(app, "/strict/plain.txt")
      assert.equal(policy, response.headers["content-security-policy"])
      assert.equal("no-referrer", response.headers["referrer-policy"])
      assert.equal("nosniff", response.headers["x-content-type-options"])
      local unchanged =
        http.get(app, "/strict/plain.txt", { ["If-None-Match"] = response.headers.etag })
      assert.same(
        { 304, policy },
        { unchanged.status, unchanged.headers["content-security-policy"] }
      )
      local fallback = http.get(app, "/strict/nowhere")
      assert.equal(policy, fallback.headers["content-security-policy"])
      for _, other in ipairs { "/plain.txt", "/strict/none.txt", "/assets/in.txt", "/route.txt" } do
        assert.is_nil(http.get(app, other).headers["content-security-policy"], other)
      end
    end
  )

  it("cannot be changed", function()
    local response = http.request(app, "POST", "/plain.txt", { body = "x" })
    assert.equal(405, response.status)
    assert.equal("GET, HEAD, OPTIONS", response.headers.allow)
  end)

  describe("have a tag", function()
    local tag

    before_each(function()
      tag = http.get(app, "/plain.txt").headers.etag
    end)

    it("that is the same as long as the file is", function()
      assert.matches('^W?/?"[^"]+"$', tag)
      assert.equal(tag, http.get(app, "/plain.txt").headers.etag)
      assert.is_not.equal(tag, http.get(app, "/empty.txt").headers.etag)
      local file = assert(io.open(app.folder .. "/public/plain.txt", "ab"))
      file:write " and more"
      file:close()
      assert.is_not.equal(tag, http.get(app, "/plain.txt").headers.etag)
    end)

    it("with which an unchanged file is not sent again", function()
      for _, value in ipairs { tag, '"other", ' .. tag, "*", "W/" .. tag:gsub("^W/", "") } do
        local client = http.connect(app)
        client:send(http.format("GET", "/plain.txt", { headers = { ["If-None-Match"] = value } }))
        local response = client:read_response()
        assert.equal(304, response.status, value)
        assert.equal(tag, response.headers.etag)
        client:send(http.format("GET", "/route.txt")) -- and no body follows
        assert.equal("the route", client:read_response().body)
        client:close()
      end
    end)

    it("which differs from that of another version", function()
      for _, value in ipairs { '"other"', "garbage", tag .. "x", "" } do
        assert.equal(200, http.get(app, "/plain.txt", { ["If-None-Match"] = value }).status, value)
      end
    end)
  end)

  describe("outside of the folder stay unseen:", function()
    for _, target in ipairs {
      "/../secret.txt",
      "/sub/../../secret.txt",
      "/%2e%2e/secret.txt",
      "/%2E%2E/secret.txt",
      "/.%2e/secret.txt",
      "/..%2fsecret.txt",
      "/%2e%2e%2fsecret.txt",
      "/sub/%2e%2e/%2e%2e/secret.txt",
      "/sub%2f..%2f..%2fsecret.txt",
      "/..%5csecret.txt",
      "/..\\secret.txt",
      "/%c0%ae%c0%ae/secret.txt",
      "/%252e%252e/secret.txt",
      "//secret.txt",
      "/./../secret.txt",
      "/..;/secret.txt",
      "/../publicity/near.txt",
      "/plain.txt%00.html",
      "/assets/../../secret.txt",
      "/assets../secret.txt",
      "//etc/passwd",
      "/%2fetc/passwd",
      "/up/secret.txt",
      "/up/",
      "/out.txt",
      "/loop",
      "/pipe",
      "/plain.txt/",
      "/plain.txt/x",
      "/.hidden",
    } do
      it(target, function()
        local response = http.get(app, target)
        assert.is_true(
          response.status == 404 or response.status == 400,
          ("status %d: %s"):format(response.status, response.body)
        )
        assert.is_nil(response.body:find("secret", 1, true))
      end)
    end

    it("a link that stays inside may be followed", function()
      assert.equal(200, http.get(app, "/in.txt").status)
    end)
  end)
end)
