-- bench/load against a server with faults on purpose: each must be reported, and nothing else.
-- (spec.support: the servers that it starts run without sanitizers.)

local json = require "dkjson"

local function run(command)
  local pipe = assert(io.popen(command .. '; echo "status $?"'))
  local output = pipe:read "a"
  pipe:close()
  return tonumber(output:match "status (%d+)%s*$"), (output:gsub("status %d+%s*$", ""))
end

local flavour = os.getenv "MOONWIRE_FLAVOUR" or os.getenv "MOONWIRE_SPEC_FLAVOUR" or "release"
local load = ("env -u LD_PRELOAD build/%s/bench/load"):format(flavour)

-- Runs the load generator against the server with `fault`. Returns its exit status, its report, and
-- what it wrote to standard error.
local function measure(fault, options)
  local command = ([[
    node=$(mktemp); trap 'kill $server; rm -f "$node"' EXIT
    env -u LD_PRELOAD node spec/support/rude.mjs %s > "$node" & server=$!
    until port=$(sed -n 's/^listening on //p' "$node") && [ -n "$port" ]; do
      kill -0 $server || exit 1; sleep 0.02
    done
    %s --port $port --pid $server --strict --subscribers 5 --settle 0 %s 2>&1]]):format(
    fault,
    load,
    options
  )
  local status, output = run("sh -c '" .. command:gsub("'", [['\'']]) .. "'")
  local report = json.decode(output:match "(%b{})%s*$" or "")
  return status, report, output
end

local function faults_of(report)
  local found = {}
  for name, number in pairs(report.faults) do
    if name ~= "first" and name ~= "total" and number > 0 then
      found[name] = number
    end
  end
  return found
end

local window = "--phase window=4,seconds=0.2"
local rate = "--phase rate=200,seconds=0.2"
local ws = "--ws /ws --publish-ws /publish "
local sse = "--sse /sse --publish-post /publish "
local poll = "--poll '/poll?since={cursor}' --publish-post /publish "

describe("bench/load", function()
  setup(function()
    local status, output =
      run(("env -u LD_PRELOAD make -s bench FLAVOUR=%s WERROR=1 2>&1"):format(flavour))
    assert.equal(0, status, output)
  end)

  for name, options in pairs {
    ["WebSockets in a closed loop"] = ws .. window,
    ["WebSockets at a fixed rate"] = ws .. rate,
    ["payloads of 48 bytes"] = ws .. window .. ",size=48",
    ["payloads of 60,000 bytes"] = ws .. window .. ",size=60000",
    ["event streams"] = sse .. window,
    ["event streams at a fixed rate"] = sse .. rate .. ",depth=1",
    ["polls"] = poll .. window,
    ["WebSockets, event streams, and polls of one channel"] = "--sse /sse "
      .. poll
      .. "--ws /ws "
      .. window,
    ["two phases"] = ws .. window .. " " .. rate,
  } do
    it("finds no fault where there is none: " .. name, function()
      local status, report, output = measure("none", options)
      assert.equal(0, status, output)
      assert.same({}, faults_of(report))
      for _, phase in ipairs(report.phases) do
        assert.is_true(phase.messages > 0, output)
        assert.equal(phase.messages * 5, phase.deliveries)
        assert.is_true(phase.latency_us.p50 > 0 and phase.latency_us.p50 <= phase.latency_us.p99)
        assert.is_true(phase.latency_us.p99 <= phase.latency_us.max)
        assert.is_true(phase.server_user_us + phase.server_system_us > 0, output)
      end
    end)
  end

  it("measures latency, from when a message was due, and memory", function()
    local status, report, output = measure("slow", ws .. "--phase rate=50,seconds=0.4")
    assert.equal(0, status, output)
    local latency = report.phases[1].latency_us
    assert.is_true(latency.p50 >= 50000 * 0.98 and latency.max < 60e6, output)
    local memory = report.memory[1]
    assert.is_true(memory.resident >= 2 ^ 24 and memory.unshared <= memory.resident, output)
  end)

  for transport, options in pairs { WebSockets = ws, ["event streams"] = sse } do
    it("puts together what comes in pieces: " .. transport, function()
      local status, report, output = measure("split", options .. rate)
      assert.equal(0, status, output)
      assert.same({}, faults_of(report))
    end)

    -- At a fixed rate, because a hole ends a closed loop.
    for fault, counter in pairs { hole = "lost", double = "doubled", swap = "disordered" } do
      it(("reports a %s: %s"):format(fault, transport), function()
        local status, report, output = measure(fault, options .. rate .. " --stall 1.5")
        assert.equal(3, status, output)
        local found = faults_of(report)
        local published = report.phases[1].messages + 1
        assert.is_true(math.abs(found[counter] - published // 10) <= 1, output)
        found[counter], found.stalled = nil, nil
        if fault == "swap" then
          found.lost = nil -- the last may still be held
        end
        assert.same({}, found)
        assert.matches("subscriber 0: ", report.faults.first)
      end)
    end

    it("reports an altered byte: " .. transport, function()
      local status, report, output = measure("alter", options .. rate .. " --stall 1.5")
      assert.equal(3, status, output)
      assert.equal("subscriber 0: an altered payload", report.faults.first)
      assert.equal(report.faults.altered, report.faults.lost)
    end)

    it("reports what is missing at the end: " .. transport, function()
      local status, report, output = measure("last", options .. rate .. " --stall 1.5")
      assert.equal(3, status, output)
      assert.equal(report.phases[1].messages + 1 - 20, report.faults.lost)
    end)

    it("reports a connection that the server closes: " .. transport, function()
      local status, report, output = measure("close", options .. rate .. " --stall 1.5")
      assert.equal(3, status, output)
      assert.equal(1, report.faults.closed + report.faults.invalid, output)
    end)
  end

  it("reports a hole of a poll", function()
    local status, report, output = measure("hole", poll .. rate .. " --stall 1.5")
    assert.equal(3, status, output)
    assert.is_true(report.faults.lost >= 5, output)
    assert.equal(0, report.faults.doubled + report.faults.disordered)
  end)

  it("reports that a closed loop stands still", function()
    local status, report, output = measure("silent", ws .. window .. " --stall 1")
    assert.equal(3, status, output)
    assert.equal(1, report.faults.stalled)
    assert.matches("nothing arrived for 1.0 s", report.faults.first)
  end)

  it("reports that publishes are not answered", function()
    local status, report, output = measure("mute", sse .. window .. ",depth=2 --stall 1")
    assert.equal(3, status, output)
    assert.equal(1, report.faults.stalled)
    assert.matches(
      "with 0 messages in flight and 2 requests without an answer",
      report.faults.first
    )
  end)

  it("reports a refused publish", function()
    local status, report, output = measure("refuse", sse .. window .. " --stall 1")
    assert.equal(3, status, output)
    assert.is_true(report.faults.refused > 0, output)
    assert.equal("a publish was refused: no more", report.faults.first)
  end)

  it("reports a frame that a server may not send", function()
    local status, report, output = measure("mask", ws .. rate .. " --stall 1")
    assert.equal(3, status, output)
    assert.equal(1, report.faults.invalid)
    assert.equal("subscriber 0: masked frame of a server", report.faults.first)
  end)

  it("refuses a handshake with a wrong key", function()
    local status, _, output = measure("accept", ws .. rate)
    assert.equal(2, status, output)
    assert.matches("Sec%-WebSocket%-Accept does not fit the key", output)
  end)

  it("says what is wrong with its options", function()
    for options, message in pairs {
      ["--port 1"] = "missing '%-%-ws, %-%-sse, or %-%-poll'",
      ["--port x"] = "%-%-port is 'x', and must be a number from 1 to 65535",
      ["--port 1 --ws /ws --publish-ws /p --phase seconds=1"] = "either a window or a rate",
      ["--port 1 --ws /ws --publish-ws /p --phase windw=1"] = "a phase has no part 'windw'",
    } do
      local status, output = run(load .. " " .. options .. " 2>&1")
      assert.equal(1, status, output)
      assert.matches(message, output)
    end
  end)
end)
