-- The world of the game: moons that catch stars. It knows no clients.

local WIDTH, HEIGHT = 1200, 800
local STEP = 0.05 -- seconds
local PUSH, DRAG = 2400, 0.86 -- units per second squared; what is left of the speed after a step
local REACH = 46 -- from the center of a moon to that of a star
local GOAL = 15 -- stars that win a round
local KEPT = 30 / STEP -- steps for which a moon without a page is kept
local AWAY = 16 -- a bit beside those of the keys
local UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8

local world = { moons_max = 24, stars = {} }
local moons = {} -- by slot
local by_key = {} -- by the secret key of the page
local steps = 0

local function place(thing)
  thing.x, thing.y = math.random(60, WIDTH - 60), math.random(60, HEIGHT - 60)
  return thing
end

for i = 1, 8 do
  world.stars[i] = place {}
end

-- A page with this key has come, perhaps again. Returns its moon, or nil if there is no room.
function world.enter(key)
  local moon = by_key[key]
  for slot = 1, moon and 0 or world.moons_max do
    if not moons[slot] then
      moon = place { slot = slot, key = key, vx = 0, vy = 0, score = 0, pages = 0 }
      moons[slot], by_key[key] = moon, moon
      break
    end
  end
  if moon then
    moon.pages, moon.keys, moon.left = moon.pages + 1, 0, nil
  end
  return moon
end

function world.leave(key)
  local moon = by_key[key]
  if moon then
    moon.pages, moon.keys = moon.pages - 1, 0
    moon.left = moon.pages == 0 and steps or nil
  end
end

-- The keys that are down.
function world.steer(key, keys)
  if by_key[key] then
    by_key[key].keys = keys & (UP | DOWN | LEFT | RIGHT)
  end
end

local function axis(keys, less, more)
  return (keys & more > 0 and 1 or 0) - (keys & less > 0 and 1 or 0)
end

local function move(moon)
  moon.vx = (moon.vx + axis(moon.keys, LEFT, RIGHT) * PUSH * STEP) * DRAG
  moon.vy = (moon.vy + axis(moon.keys, UP, DOWN) * PUSH * STEP) * DRAG
  moon.x = math.max(0, math.min(WIDTH, moon.x + moon.vx * STEP))
  moon.y = math.max(0, math.min(HEIGHT, moon.y + moon.vy * STEP))
  for _, star in ipairs(world.stars) do
    if (star.x - moon.x) ^ 2 + (star.y - moon.y) ^ 2 < REACH ^ 2 then
      place(star)
      moon.score = moon.score + 1
    end
  end
end

-- Computes one step. Returns the moon that has won the round, if one has; then the next round begins.
function world.step()
  steps = steps + 1
  local winner
  for slot, moon in pairs(moons) do
    move(moon)
    if moon.left and steps - moon.left > KEPT then
      moons[slot], by_key[moon.key] = nil, nil
    elseif moon.score >= GOAL then
      winner = moon
    end
  end
  for _, moon in pairs(winner and moons or {}) do
    moon.score = 0
  end
  return winner
end

local function whole(number)
  return math.floor(number + 0.5)
end

-- The state as bytes, big-endian: the step (4), the number of stars (1), x and y of each (2 and 2), and
-- then for each moon its slot (1), x, y (2 and 2), score (1), keys (1).
function world.encode()
  local parts = { (">I4B"):pack(steps, #world.stars) }
  for _, star in ipairs(world.stars) do
    parts[#parts + 1] = (">I2I2"):pack(star.x, star.y)
  end
  for slot = 1, world.moons_max do
    local moon = moons[slot]
    if moon then
      local keys = moon.keys | (moon.left and AWAY or 0)
      parts[#parts + 1] = (">BI2I2BB"):pack(slot, whole(moon.x), whole(moon.y), moon.score, keys)
    end
  end
  return table.concat(parts)
end

return world
