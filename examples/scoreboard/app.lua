-- A scoreboard: a thousand matches at the same time, for as many spectators as there are.
--
--     bin/moonwire examples/scoreboard/app.lua    then open http://127.0.0.1:8080/

local moonwire = require "moonwire"

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"

local MATCHES, CHANGES, MINUTES = 1000, 20, 90 -- CHANGES: a second
local first = { "Harbor", "North", "River", "Hill" }
local guests = { "Forest", "Lake", "Bridge", "Castle" }
local second = { "Owls", "Foxes", "United", "Rovers", "Herons", "City", "Wolves", "Athletic" }

local function team(words)
  return words[math.random(#words)] .. " " .. second[math.random(#second)]
end

-- The matches begin again with the server. A page recognizes that by the season.
local season = moonwire.crypto.random(6, "base64url")
local matches = {}
for id = 1, MATCHES do
  local match = { id = id, home = team(first), away = team(guests), rev = 0 }
  match.score, match.minute = { math.random(0, 2), math.random(0, 2) }, math.random(0, MINUTES - 1)
  matches[id] = match
end

-- A spectator that is too slow does not need the goals in between, only the newest state of each
-- match: slow = "latest" keeps one message for each key, which is the match.
app:channel("scores", { authorize = true, history = { size = 2000, ttl = 60 }, slow = "latest" })

local function change(match)
  local minute, score = match.minute + math.random(0, 2), { match.score[1], match.score[2] }
  if minute > MINUTES then
    minute, score = 0, { 0, 0 } -- the next match of these teams
  elseif math.random() < 0.3 then
    local side = math.random(2)
    score[side] = score[side] + 1
  end
  local following = { id = match.id, score = score, minute = minute, rev = match.rev + 1 }
  -- What cannot be published now has not happened: no page has missed it.
  if app:publish("scores", "score", following, { key = tostring(match.id) }) then
    match.score, match.minute, match.rev = score, minute, following.rev
  end
end

app:every(1 / CHANGES, function()
  change(matches[math.random(MATCHES)])
end)

-- The whole state, for new pages and after a gap. A page subscribes first, and then asks for it, so
-- nothing falls in between; by `rev` it recognizes which of two states of a match is newer.
app:get(path .. "matches", function()
  return 200, { season = season, matches = matches }, { ["Cache-Control"] = "no-store" }
end)

app:static(path .. "shared", "../shared")
app:static(path, "page")
return app
