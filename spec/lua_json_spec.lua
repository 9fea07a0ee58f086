-- moonwire.json: values to text and back.

local moonwire = require "moonwire"
local json = moonwire.json

local function nested(depth)
  local value = {}
  for _ = 2, depth do
    value = { value }
  end
  return value
end

describe("json.encode", function()
  local function same(text, value)
    assert.equal(text, json.encode(value))
  end

  it("writes scalars", function()
    same("null", nil)
    same("null", moonwire.null)
    same("true", true)
    same("false", false)
    same('"a\\"\\\\\\n\\u0000é"', 'a"\\\n\0é')
  end)

  it("keeps integers exact and floats apart from them", function()
    same("0", 0)
    same("9007199254740993", 9007199254740993)
    same("9223372036854775807", math.maxinteger)
    same("-9223372036854775808", math.mininteger)
    same("1.0", 1.0)
    same("-0.0", -0.0)
  end)

  it("writes floats that are read back as the same number, and no longer than need be", function()
    same("0.1", 0.1)
    same("101.23", 101.23)
    for _, number in ipairs {
      1 / 3,
      2 / 3,
      0.1 + 0.2,
      1e300,
      5e-324,
      1.7976931348623157e308,
      2 ^ 53 + 2.0,
    } do
      assert.equal(number, json.decode(json.encode(number)))
      assert.equal("float", math.type(json.decode(json.encode(number))))
    end
  end)

  it("tells arrays from objects", function()
    same("{}", {})
    same("[]", moonwire.array {})
    same('[1,"a",[2]]', { 1, "a", { 2 } })
    same('{"a":{"b":[]}}', { a = { b = moonwire.array {} } })
  end)

  it("sorts names, so that equal values are equal texts", function()
    same('{"a":1,"b":2,"c":3,"d":4}', { d = 4, b = 2, c = 3, a = 1 })
  end)

  it("refuses what JSON cannot hold, and names the place", function()
    local cycle = { a = {} }
    cycle.a.b = { cycle }
    local refused = {
      {
        { data = { items = { 1, 2, 0 / 0 } } },
        "value.data.items[3]: JSON cannot hold NaN or infinity",
      },
      { 1 / 0, "value: JSON cannot hold NaN or infinity" },
      { { -1 / 0 }, "value[1]: JSON cannot hold NaN or infinity" },
      { { a = { 1, nil, 3 } }, "value.a: the array has holes" },
      { { [2] = 1 }, "value: the array has holes" },
      { { 1, a = 2 }, "value: the table has both items and names" },
      { moonwire.array { a = 2 }, "value: the table has both items and names" },
      { { [true] = 1 }, "value: the table has a key that is neither" },
      { { [1.5] = 1 }, "value: the table has a key that is neither" },
      { { [0] = 1 }, "value: the table has a key that is neither" },
      { { f = print }, "value.f: JSON cannot hold a function" },
      { { io.stdout }, "value[1]: JSON cannot hold a userdata" },
      { coroutine.create(print), "value: JSON cannot hold a thread" },
      { { a = "\xff" }, "value.a: a string that is not valid UTF-8" },
      { { a = "\xed\xa0\x80" }, "value.a: a string that is not valid UTF-8" },
      { { ["\xff"] = 1 }, "value: a name is not valid UTF-8" },
      { { ["a\0b"] = 1 }, "value: a name contains a NUL byte" },
      { cycle, "value.a.b[1]: the table contains itself" },
      { nested(65), "nested deeper than 64 levels" },
    }
    for _, case in ipairs(refused) do
      local ok, message = pcall(json.encode, case[1])
      assert.is_false(ok)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end
  end)

  it("takes the same table twice, which is no cycle", function()
    local shared = { 1 }
    same("[[1],[1]]", { shared, shared })
  end)

  it("takes 64 levels", function()
    assert.equal(("["):rep(63) .. "{}" .. ("]"):rep(63), json.encode(nested(64)))
  end)

  it("raises at the caller's line", function()
    local _, message = pcall(function()
      json.encode(print)
    end)
    assert.matches("^[^:]*lua_json_spec.lua:%d+: value: JSON cannot hold a function", message)
  end)

  it("needs an argument", function()
    assert.has_error(json.encode)
  end)

  it("is not disturbed by metamethods", function()
    same("{}", setmetatable({}, { __index = { a = 1 }, __pairs = error, __len = error }))
  end)
end)

describe("json.decode", function()
  it("reads values", function()
    assert.same(
      { a = { 1, 2.5, "x", true, { b = moonwire.null } } },
      json.decode ' {"a":[1,2.5,"x",true,{"b":null}]} '
    )
    assert.equal(moonwire.null, json.decode "null")
    assert.equal(false, json.decode "false")
    assert.equal("é\0", json.decode '"\\u00e9\\u0000"')
  end)

  it("reads integers as integers and others as floats", function()
    assert.equal(9007199254740993, json.decode "9007199254740993")
    assert.equal("integer", math.type(json.decode "1"))
    assert.equal("float", math.type(json.decode "1.0"))
    assert.equal("float", math.type(json.decode "1e2"))
  end)

  it("reads integers over 64 bits as floats", function()
    local function same(number, text)
      local value = json.decode(text)
      assert.equal(number, value, text)
      assert.equal(math.type(number), math.type(value), text)
    end
    same(math.maxinteger, "9223372036854775807")
    same(math.mininteger, "-9223372036854775808")
    same(2.0 ^ 63, "9223372036854775808")
    same(-2.0 ^ 63, "-9223372036854775809")
    same(2.0 ^ 64, "18446744073709551615")
    same(1e30, "1000000000000000000000000000000")
    same(1e308, "1" .. ("0"):rep(308))
    same(-1e19, " -10000000000000000000 ")
    assert.same(
      { a = { 2.0 ^ 63, 1, 2.0 ^ 63 }, ["9223372036854775808"] = 'x"9223372036854775808\\' },
      json.decode '{"a":[9223372036854775808,1,9223372036854775808],"9223372036854775808":"x\\"9223372036854775808\\\\"}'
    )
    assert.same(
      { 2.0 ^ 63, 1e20, 0.5 },
      json.decode "[9223372036854775808,100000000000000000000e0,0.50000000000000000000]"
    )
    assert.equal("1.8446744073709552e19", json.encode(json.decode "18446744073709551615"))
    local text, values = {}, {}
    for i = 1, 1000 do
      text[i], values[i] = "-9223372036854775809", -2.0 ^ 63
    end
    assert.same(values, json.decode("[" .. table.concat(text, ",") .. "]"))
  end)

  it("names the number that is too large for a float", function()
    local _, message = json.decode "[1e999]"
    assert.matches(
      "^not valid JSON: a number is beyond the range of a float %(line 1, column %d+%)$",
      message
    )
  end)

  it("keeps an array an array, even an empty one", function()
    assert.equal('{"a":[],"b":{}}', json.encode(json.decode '{"a":[],"b":{}}'))
    local list = json.decode "[1]"
    list[1] = nil
    assert.equal("[]", json.encode(list))
  end)

  it("returns nil and a message for what is no JSON", function()
    local texts = {
      "",
      " ",
      "{",
      "[1,]",
      "{'a':1}",
      "nul",
      "01",
      "1 2",
      "\xff",
      '"\xff"',
      '"\\ud800"',
      '"\n"',
      "NaN",
      "1e999",
      "-1" .. ("0"):rep(309),
      "[99999999999999999999,1e999]",
      "99999999999999999999 1",
      "[99999999999999999999",
      '{"a":99999999999999999999,"b',
      "-99999999999999999999-",
      ("["):rep(65) .. ("]"):rep(65),
      ("["):rep(100000),
    }
    for _, text in ipairs(texts) do
      local value, message = json.decode(text)
      assert.is_nil(value, text:sub(1, 40))
      assert.matches("^not valid JSON: ", message)
    end
  end)

  it("raises for what is no text", function()
    assert.has_error(function()
      json.decode({})
    end)
  end)
end)

describe("moonwire.array", function()
  it("returns the table it was given", function()
    local list = { 1 }
    assert.equal(list, moonwire.array(list))
    assert.equal(list, moonwire.array(list))
  end)

  it("refuses what cannot be marked", function()
    assert.has_error(function()
      moonwire.array "x"
    end)
    assert.has_error(function()
      moonwire.array(setmetatable({}, {}))
    end)
  end)
end)
