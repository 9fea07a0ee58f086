-- docs/reference/protocol.md, tried by a client that was written from it alone (spec/support/protocol_client.mjs).

local dkjson = require "dkjson"
local server = require "spec.support.server"

local script = [[
local moonwire = require "moonwire"
local app = moonwire.app { limits = { ws_message_size = 4096 } }
app:authenticate(function(request)
  if not request.token or request.token == "stale" then
    return false, "who is that?"
  end
  return { id = request.token }
end)
local function say(_, channel, message)
  return { id = channel:publish("said", message.data) }
end
app:channel("room:{room}", {
  authorize = true,
  history = { size = 3 },
  relay = { "typing", update = { keep = true } },
  on_join = function(client, channel)
    if channel.params.room == "full" then
      return false, "no seat is left", "full"
    end
    return { welcome = client.user_id }
  end,
  on = {
    say = say,
    shout = function(_, channel, message)
      channel:publish("shouted", message.binary, { binary = true })
    end,
    fail = function()
      error "a secret"
    end,
    slow = function(client)
      moonwire.sleep(0.05)
      client:send("alone", { only = "you" })
      return "slow"
    end,
    kick = function(client, channel)
      channel:kick(client, "too loud")
    end,
    leave = function(client)
      client:close(4403, "out")
    end,
    stop = function()
      app:stop()
    end,
  },
})
app:channel("lobby", { authorize = true, on = { say = say } })
app:channel("vault", { authorize = false })
return app
]]

local impatient = [[
local app = require("moonwire").app { limits = { connect_seconds = 2, ping_seconds = 1, pong_seconds = 2 } }
app:channel("room", {})
return app
]]

local preamble = [[
import { Client, Stream, outcome } from "./spec/support/protocol_client.mjs";
const address = process.argv[1];
const saw = {};
const native = (token) => new Client(address, { token, subprotocol: true }).connect();
const plain = (token) => new Client(address, { token }).connect();
]]

-- Runs the lines of JavaScript in Node, and returns what they have put into `saw`.
local function run(app, lines)
  local text = preamble .. lines .. "console.log(JSON.stringify(saw)); process.exit();"
  local command = "timeout 100 node --input-type=module -e %s %s 2>&1"
  local output = server.run(command:format(server.quote(text), app.address))
  return dkjson.decode(output) or error("the client failed: " .. output, 2)
end

-- Ids of one server, each of a later message than the one before.
local function assert_rising(...)
  local before
  for _, message in ipairs { ... } do
    local id = message.id
    assert.truthy(id:match "^%w+%-%d+$")
    if before then
      assert.equal(before:match "^%w+", id:match "^%w+")
      assert.is_true(before < id, before .. " comes before " .. id)
    end
    before = id
  end
end

describe("a client that was written from the document", function()
  local app

  before_each(function()
    app = server.start(script)
  end)

  after_each(function()
    if not app.finished then
      app:stop()
    end
  end)

  it("connects in both ways and is told its errors", function()
    local saw = run(
      app,
      [[
      const a = await plain("ada");
      const b = await native("bob");
      saw.connected = [typeof b.id, b.ping];
      saw.joined = await a.subscribe("room:1");
      saw.refused = await Promise.all(
        [a.subscribe("room:1"), a.subscribe("room:full"), a.subscribe("vault"), a.subscribe("street"),
         a.send("room:1", "dance"), a.send("room:2", "say"), a.send("room:1", "fail"),
         a.request({ presence: "room:1" }), a.request({ ping: true, send: "room:1" })].map(outcome));
      for (const text of ["{", "{}", '{"subscribe":"vault"}']) a.postText(text);
      saw.pinged = await a.request({ ping: true });
      saw.errors = a.errors.map(({ channel, error }) => [error.code, channel ?? ""]);
      saw.tokens = [await outcome(b.request({ token: "stale" })), await outcome(b.request({ token: "bob" })),
        await outcome(a.request({ token: "ada" }))];
      saw.same = saw.tokens[1].ok?.client === b.id;
      saw.closed = [await a.close(), await b.close()];
      ]]
    )
    assert.same({ "string", 25 }, saw.connected)
    assert.same({ id = saw.joined.id, data = { welcome = "ada" } }, saw.joined)
    local codes = {}
    for i, refused in ipairs(saw.refused) do
      codes[i] = refused.error
    end
    assert.same({
      "already_subscribed",
      "full",
      "forbidden",
      "not_found",
      "unknown_event",
      "not_subscribed",
      "internal",
      "refused",
      "bad_request",
    }, codes)
    assert.is_true(saw.pinged)
    assert.same(
      { { "bad_request", "" }, { "bad_request", "" }, { "forbidden", "vault" } },
      saw.errors
    )
    assert.same({ { error = "unauthorized" }, saw.tokens[2], { error = "refused" } }, saw.tokens)
    assert.is_true(saw.same)
    -- By the code alone: who closed by itself knows better.
    local closed = { code = 1000, reason = "", back = true }
    assert.same({ closed, closed }, saw.closed)
  end)

  it("is answered in order, behind what its handlers have published", function()
    local saw = run(
      app,
      [[
      const a = await native("ada");
      await a.subscribe("room:1");
      a.seen.length = 0;
      await Promise.all([a.send("room:1", "slow"), a.send("room:1", "say", "hello"), a.request({ ping: true }),
        a.unsubscribe("room:1"), a.unsubscribe("room:1")]);
      saw.seen = a.seen.map((object) => object.event ?? object.ok);
      saw.left = await outcome(a.send("room:1", "say"));
      ]]
    )
    assert.same({ "alone", "slow", "said", saw.seen[4], true, true, true }, saw.seen)
    assert_rising { id = saw.seen[4].id }
    assert.same({ error = "not_subscribed" }, saw.left)
  end)

  it("hears from whom the relayed events are, and not its own", function()
    local saw = run(
      app,
      [[
      const [a, b] = [await plain("ada"), await native("bob")];
      await a.subscribe("room:1");
      await b.subscribe("room:1");
      const bytes = Buffer.from([0, 10, 255]);
      saw.answers = [await a.send("room:1", "typing", { now: true }), await a.send("room:1", "update", bytes),
        await a.send("room:1", "shout", bytes)];
      saw.heard = [await b.next(), await b.next(), await b.next()];
      saw.own = await a.next();
      saw.left = [a.left, b.left];
      ]]
    )
    local update, shouted = saw.heard[2].id, saw.heard[3].id
    assert_rising(saw.heard[2], saw.heard[3])
    assert.same({ true, { id = update }, true }, saw.answers)
    local shout = { channel = "room:1", event = "shouted", id = shouted, bytes = "000aff" }
    assert.same({
      { channel = "room:1", event = "typing", from = "ada", data = { now = true } },
      { channel = "room:1", event = "update", id = update, from = "ada", bytes = "000aff" },
      shout,
    }, saw.heard)
    assert.same(shout, saw.own)
    assert.same({ 0, 0 }, saw.left)
  end)

  it("returns behind a cut with a cursor for each channel, and is told of gaps", function()
    local saw = run(
      app,
      [[
      const [a, b] = [await native("ada"), await plain("bob")];
      for (const client of [a, b]) for (const name of ["room:1", "room:2"]) await client.subscribe(name);
      await b.send("room:1", "say", "heard");
      await a.next();
      saw.cut = await a.cut();
      await b.send("room:2", "say", "missed");
      await b.send("room:1", "update", Buffer.from("kept"));
      saw.back = await a.comeBack();
      saw.missed = [await a.next(), await a.next()];
      await a.cut();
      for (const data of [1, 2, 3, 4]) await b.send("room:1", "say", data);
      saw.late = await a.comeBack();
      saw.kept = [await a.next(), await a.next(), await a.next()];
      await b.send("room:2", "say", "live");
      saw.live = await a.next();
      const c = await plain("cyd");
      saw.zero = await c.subscribe("room:1", "0");
      saw.strange = await (await plain("dan")).subscribe("room:2", "k3x09qz1-0000000000000001");
      saw.left = a.left;
      ]]
    )
    assert.same({ code = 1006, reason = "", back = true }, saw.cut)
    assert.same({ true, true }, { saw.back[1].recovered, saw.back[2].recovered })
    assert.equal("0000000000000000", saw.back[2].id:match "%d+$") -- nothing had been published to it
    table.sort(saw.missed, function(x, y)
      return x.id < y.id
    end)
    assert_rising(saw.back[1], saw.missed[1], saw.missed[2])
    assert.same({ "missed", "6b657074" }, { saw.missed[1].data, saw.missed[2].bytes })
    assert.equal("bob", saw.missed[2].from)
    assert.same({ false, true }, { saw.late[1].recovered, saw.late[2].recovered })
    assert_rising(saw.missed[2], saw.kept[1], saw.kept[2], saw.kept[3], saw.live)
    assert.same({ 2, 3, 4 }, { saw.kept[1].data, saw.kept[2].data, saw.kept[3].data })
    assert.same({ "room:2", "live" }, { saw.live.channel, saw.live.data })
    assert.is_true(saw.zero.recovered)
    assert.is_false(saw.strange.recovered)
    assert.equal(0, saw.left)
  end)

  it("is kicked from a channel and may subscribe again", function()
    local saw = run(
      app,
      [[
      const a = await native("ada");
      await a.subscribe("room:1");
      a.seen.length = 0;
      await a.send("room:1", "kick");
      saw.seen = a.seen.map(({ ref, ...rest }) => rest);
      saw.after = [await outcome(a.send("room:1", "say")), await outcome(a.subscribe("room:1"))];
      ]]
    )
    local told = { channel = "room:1", code = "kicked", reason = "too loud" }
    assert.same({ { event = "moonwire:unsubscribed", data = told }, { ok = true } }, saw.seen)
    assert.equal("not_subscribed", saw.after[1].error)
    assert.equal("ada", saw.after[2].ok.data.welcome)
  end)

  it("sends by POST what comes over its stream", function()
    local saw = run(
      app,
      [[
      const a = await native("ada");
      await a.subscribe("room:1");
      const s = new Stream(address, "sue");
      saw.opened = await s.open(["room:1"]);
      saw.said = [await s.request({ send: "room:1", event: "say", data: "hello" }), await s.next(), await a.next()];
      saw.typed = [await s.request({ send: "room:1", event: "typing" }), await a.next()];
      await a.send("room:1", "shout", Buffer.from("ab"));
      saw.bytes = await s.next();
      saw.more = await s.request({ subscribe: "lobby" });
      saw.alone = [await s.request({ send: "lobby", event: "say", data: 1 }, { alone: true }), await s.next()];
      saw.refused = [await s.request({ send: "lobby", event: "say" }, { token: "ada" }),
        await s.request({ subscribe: "lobby" }, { alone: true }), await s.request({ subscribe: "vault" }),
        await s.request({ send: "room:2", event: "say" }), await s.request({ subscribe: "street" }),
        await s.request({ send: "room:1", event: "fail" }), await s.request({ token: "sue" })]
        .map(({ status, answer }) => [status, answer.error.code]);
      saw.kicked = [await s.request({ send: "room:1", event: "kick" }), await s.next()];
      await s.close();
      const again = new Stream(address, "sue");
      saw.again = await again.open(["room:1"], saw.opened.id);
      saw.missed = [await again.next(), await again.next()];
      const late = new Stream(address, "sue");
      saw.late = await late.open(["room:1"], "nonsense");
      saw.gap = await late.next();
      ]]
    )
    assert.same({ welcome = "sue" }, saw.opened.channels["room:1"].data)
    assert.is_nil(saw.opened.recovered)
    local said = saw.said[2]
    assert.same({ channel = "room:1", event = "said", id = said.id, data = "hello" }, said)
    assert.same(said, saw.said[3])
    assert.same({ status = 200, answer = { ref = 1, ok = { id = said.id } } }, saw.said[1])
    assert.same({ status = 200, answer = { ref = 2, ok = true } }, saw.typed[1])
    assert.same({ "typing", "sue" }, { saw.typed[2].event, saw.typed[2].from })
    assert.same({ "shouted", "YWI=" }, { saw.bytes.event, saw.bytes.base64 })
    assert_rising(said, saw.more.answer.ok)
    local alone = saw.alone[2]
    assert.same({ id = alone.id }, saw.alone[1].answer.ok)
    assert.same({ "lobby", 1 }, { alone.channel, alone.data })
    assert.same({
      { 403, "forbidden" },
      { 400, "bad_request" },
      { 403, "forbidden" },
      { 403, "not_subscribed" },
      { 404, "not_found" },
      { 500, "internal" },
      { 400, "refused" },
    }, saw.refused)
    assert.is_true(saw.kicked[1].answer.ok)
    assert.same({ channel = "room:1", code = "kicked", reason = "too loud" }, saw.kicked[2].data)
    assert.is_true(saw.again.recovered)
    assert_rising(saw.missed[1], saw.missed[2])
    assert.is_false(saw.late.recovered)
    assert.same({ event = "moonwire:gap", data = { channel = "room:1" } }, saw.gap)
  end)

  it("knows by the end of a connection whether to return", function()
    local saw = run(
      app,
      [[
      saw.upgrade = await outcome(plain("stale"));
      const stale = new Client(address, { token: "stale", subprotocol: true });
      saw.stale = [await outcome(stale.connect()), await stale.closed];
      await stale.comeBack("ada");
      saw.early = await outcome((await new Client(address, { token: "eve", subprotocol: true }).open()).subscribe("room:1"));
      const long = await plain("ada");
      long.postText("x".repeat(5000));
      saw.long = await long.closed;
      const out = await native("out");
      await out.subscribe("room:1");
      saw.out = [await outcome(out.send("room:1", "leave")), await out.closed];
      const last = await native("last");
      await last.subscribe("room:1");
      last.post({ send: "room:1", event: "stop" });
      saw.stopped = await last.closed;
      ]]
    )
    assert.same({ error = 401 }, saw.upgrade)
    assert.same({ error = "unauthorized" }, saw.stale[1])
    assert.same({ 4401, "with a new token" }, { saw.stale[2].code, saw.stale[2].back })
    assert.same({ error = "unauthorized" }, saw.early)
    assert.same({ 1009, true }, { saw.long.code, saw.long.back })
    assert.same({ error = 4403 }, saw.out[1])
    assert.same({ code = 4403, reason = "out", back = false }, saw.out[2])
    assert.same({ 1001, true }, { saw.stopped.code, saw.stopped.back })
    -- It ends by itself: signal 0 only waits for it.
    assert.equal(0, (app:finish "0"))
  end)

  it("answers pings, and is cut off if it does not", function()
    local other <close> = setmetatable({ app = server.start(impatient) }, {
      __close = function(self)
        self.app:stop()
      end,
    })
    local saw = run(
      other.app,
      [[
      const never = await new Client(address, { subprotocol: true }).open();
      const mute = await new Client(address, { subprotocol: true, mute: true }).connect();
      const alive = await native();
      const framed = await plain();
      saw.ping = alive.ping;
      saw.never = await never.closed;
      saw.mute = [await mute.closed, mute.pings];
      saw.alive = [alive.pings > 0, await alive.request({ ping: true }), await framed.request({ ping: true }), framed.pings];
      ]]
    )
    assert.equal(1, saw.ping)
    assert.same({ 4408, true }, { saw.never.code, saw.never.back })
    assert.same({ 1006, true, 1 }, { saw.mute[1].code, saw.mute[1].back, saw.mute[2] })
    assert.same({ true, true, true, 0 }, saw.alive)
  end)
end)
