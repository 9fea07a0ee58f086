-- request:form: what pages post, and what no page would.

local moonwire = require "moonwire"
local testing = require "moonwire.testing"

local URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"

describe("request:form", function()
  local server

  setup(function()
    local app = moonwire.app { limits = { body = 300000 } }
    app:post("/", function(request)
      local fields, files, list = request:form()
      if not fields then
        return 400, files
      end
      local count = 0
      for _, file in pairs(files) do
        file.content = #file.content <= 20 and file.content or #file.content
        count = count + 1
      end
      return { fields = fields, files = files, count = #list, file_count = count }
    end)
    server = testing.start(app)
  end)

  teardown(testing.stop_all)

  local function post(kind, body)
    return server:request("POST", "/", { body = body, headers = { ["content-type"] = kind } })
  end

  local function field(name, value)
    return ('--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'):format(name, value)
  end

  local function file(name, filename, value)
    local head =
      '--x\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: text/plain\r\n\r\n%s\r\n'
    return head:format(name, filename, value)
  end

  it("reads fields", function()
    local form = server
      :request("POST", "/", { form = { name = "Ann & Ben", text = "a b+c\r\n\u{e4}" } })
      :json()
    assert.same({ name = "Ann & Ben", text = "a b+c\r\n\u{e4}" }, form.fields)
    assert.equal(2, form.count)
    assert.same({ a = "2", [""] = "x" }, post(URLENCODED, "a=1&a=2&=x&&"):json().fields)
    assert.equal(0, post(URLENCODED, ""):json().count)
    assert.same(
      { a = "2", b = "" },
      post(MULTIPART, field("a", 1) .. field("b", "") .. field("a", 2) .. "--x--"):json().fields
    )
  end)

  it("reads files", function()
    local form = post(
      MULTIPART,
      field("title", "T") .. file("photo", "a.txt", "hello") .. file("none", "", "") .. "--x--"
    ):json()
    assert.same({ title = "T" }, form.fields)
    assert.same(
      { photo = { filename = "a.txt", type = "text/plain", content = "hello" } },
      form.files
    )
    assert.equal(3, form.count)
    local large = ("\r\n--"):rep(50000)
    form = post(MULTIPART, file("large", "b", large) .. "--x--"):json()
    assert.equal(#large, form.files.large.content)
  end)

  it("reads what curl and Node.js send", function()
    local other = require("spec.support.server").start [[
      local app = require("moonwire").app {}
      app:post("/", function(request)
        local fields, files = request:form()
        if not fields then return 400, files end
        local photo = files.photo or {}
        return { fields = fields, filename = photo.filename, content = photo.content, type = photo.type }
      end)
      return app
    ]]
    local function run(command)
      local pipe = assert(io.popen(command))
      local text = pipe:read "a"
      pipe:close()
      return require("dkjson").decode(text)
    end
    local url = ("http://127.0.0.1:%d/"):format(other.port)
    local directory = io.popen("mktemp -d"):read "l"
    local path = directory .. "/a b\u{e4}.txt"
    local out = assert(io.open(path, "w"))
    out:write "line\r\n--x\r\n"
    out:close()
    local expected = {
      fields = { ["a;b"] = 'c"d', empty = "" },
      filename = "a b\u{e4}.txt",
      content = "line\r\n--x\r\n",
      type = "text/plain",
    }
    local curl = "curl -s -F 'a;b=c\"d' -F empty= -F 'photo=@%s' %s"
    assert.same(expected, run(curl:format(path, url)))
    local script = [[
      const form = new FormData();
      form.append("a;b", "c\"d");
      form.append("empty", "");
      form.append("photo", new Blob(["line\r\n--x\r\n"], { type: "text/plain" }), "a b\u00e4.txt");
      const answer = await fetch("%s", { method: "POST", body: form });
      console.log(await answer.text());
    ]]
    assert.same(expected, run(("node --input-type=module -e '%s'"):format(script:format(url))))
    os.execute(("rm -rf '%s'"):format(directory))
    other:stop()
  end)

  local not_a_form =
    "not a form: the content type must be application/x-www-form-urlencoded or multipart/form-data"
  for _, case in ipairs {
    { "text/plain", "a=b", not_a_form },
    { "application/json", "{}", not_a_form },
    { "", "a=b", not_a_form },
    { "application/x-www-form-urlencodedx", "a=b", not_a_form },
    { "multipart/mixed; boundary=x", "--x--", not_a_form },
    { "multipart/form-data", "--x--", "the content type has no valid boundary" },
    {
      "multipart/form-data; boundary=" .. ("x"):rep(71),
      "--x--",
      "the content type has no valid boundary",
    },
    { MULTIPART, "", "the first boundary is missing" },
    { MULTIPART, "a=b", "the first boundary is missing" },
    { MULTIPART, field("a", "b"), "the last boundary is missing" },
    {
      MULTIPART,
      field(("n"):rep(9000), "b") .. "--x--",
      "the headers of a part exceed 8192 bytes",
    },
    {
      MULTIPART,
      field("a\r\n\r\n", "b") .. "--x--",
      "a parameter of Content-Disposition is malformed",
    },
    { MULTIPART, ("--x\r\n"):rep(10), "a header of a part is malformed" },
    { URLENCODED, ("a=b&"):rep(1001), "the form has more than 1000 fields" },
    { MULTIPART, field("a", "b"):rep(1001) .. "--x--", "the form has more than 1000 fields" },
  } do
    local kind, body, expected = table.unpack(case)
    it(("refuses %.40s: %s"):format(kind, expected), function()
      local response = post(kind, body)
      assert.equal(400, response.status)
      assert.equal(expected, response.body)
    end)
  end

  it("refuses a body that is cut at any byte, or reads less", function()
    local body = field("a", "b") .. file("c", "d", "e") .. "--x--"
    for len = 0, #body - 1 do
      assert.equal(400, post(MULTIPART, body:sub(1, len)).status, len)
    end
    assert.equal(200, post(MULTIPART, body).status)
  end)

  it("is bounded by limits.body", function()
    assert.equal(413, post(URLENCODED, ("a"):rep(300001)).status)
  end)
end)
