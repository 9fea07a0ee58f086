-- What the specs of moonwire.publisher let it do, under any interpreter from Lua 5.1 on:
--
--   INTERPRETER openresty/publish_plan.lua ROCK ADDRESS PLAN
--
-- ROCK is a directory with moonwire/publisher.lua. PLAN is the name of a function below, with arguments after commas. Prints
-- what the calls have returned. In nginx, the function that this file returns does the same.

local plans = {}

-- COUNT messages with the numbers from 1, one after the other.
function plans.numbers(publisher, say, count)
  for i = 1, tonumber(count) do
    local id, why, code = publisher:publish("room:1", "number", i)
    if not id then
      say(("%d: %s (%s)"):format(i, why, code))
    end
  end
  say "done"
end

-- COUNT batches of 3.
function plans.batches(publisher, say, count)
  for i = 1, tonumber(count) do
    local results, errors, code = publisher:batch {
      { "room:1", "number", 3 * i - 2 },
      { channel = "room:1", event = "number", json = ("%d\n"):format(3 * i - 1) },
      { "room:1", "number", 3 * i },
    }
    if not results or errors ~= 0 then
      say(("%d: %s (%s)"):format(i, tostring(errors), tostring(code)))
    end
  end
  say "done"
end

local function show(say, name, value, why, code)
  if type(value) == "string" and #value > 10 then
    value = "id"
  end
  say(name .. ": " .. tostring(value) .. (why and (" " .. why .. " " .. code) or ""))
end

-- Each function, and each error.
function plans.everything(publisher, say)
  show(say, "publish", publisher:publish("room:1", "event", { text = "h\195\164\n" }))
  show(say, "nothing", publisher:publish("room:1"))
  show(say, "volatile", publisher:publish("room:1", "event", 1, { volatile = true }))
  show(say, "raw", publisher:publish_raw("room:1", "raw", '{"a":\r\n[1, 2]}'))
  local once = { idempotency_key = "once" }
  local first = publisher:publish("room:1", "once", 1, once)
  say("once: " .. tostring(first == publisher:publish("room:1", "once", 1, once)))
  show(say, "not found", publisher:publish("nowhere", "event", 1))
  show(say, "no event", publisher:publish("room:1", "a\nb", 1))
  show(say, "not JSON", publisher:publish_raw("room:1", "raw", "{"))
  show(say, "too large", publisher:publish("room:1", "event", ("x"):rep(70000)))
  show(say, "not data", publisher:publish("room:1", "event", print))
  local results, errors = publisher:batch {
    { "room:1", "batch", 1 },
    { "nowhere", "batch", 1 },
    { channel = "room:1", json = "{" },
    { "room:1", "batch", print },
    { "room:1", "batch", 2, volatile = true },
  }
  say("batch: " .. errors)
  for i, result in ipairs(results) do
    say(i .. ": " .. (result.error and result.error.code or result.id and "id" or "{}"))
  end
  local many = {}
  for i = 1, 2500 do
    many[i] = { "room:2", "many", i }
  end
  results, errors = publisher:batch(many)
  say(("many: %d %d %s"):format(#results, errors, tostring(results[2500].id ~= nil)))
  local _, why = pcall(publisher.publish, publisher, 1)
  say(why)
  _, why = pcall(publisher.publish, publisher, "room:1", "event", 1, { kye = "a" })
  say(why)
  say "done"
end

-- A publish to a server that does not answer.
function plans.fails(publisher, say)
  show(say, "publish", publisher:publish("room:1", "event", 1))
  local results, why, code = publisher:batch { { "room:1", "a", 1 }, { "room:1", "b", 2 } }
  show(say, "batch", results, why, code)
  say "done"
end

local function run(module, address, plan, say, more)
  local options = { address = address, key = "k", retry_delay = 0.001, timeout = 30 }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  local words = {}
  for word in plan:gmatch "[^,]+" do
    local name, value = word:match "^(%l[%l_]*)=(.*)$"
    if name then
      options[name] = tonumber(value) or value
    else
      words[#words + 1] = word
    end
  end
  local publisher = module.new(options)
  plans[words[1]](publisher, say, words[2])
  publisher:close()
end

if arg and arg[3] then
  package.path = arg[1] .. "/?.lua;" .. package.path
  run(require "moonwire.publisher", arg[2], arg[3], print)
end
return run
