-- A small town: crossings, streets between them, and the shortest way. The page draws it from the same
-- data, so it needs no server for maps.

local COLUMNS, ROWS = 8, 6
local DEPOT = 1 -- the crossing where all ways begin

local map = { width = 860, height = 640, crossings = {}, streets = {}, places = {}, river = {} }
local town = { map = map, places = map.places }

local function crossing(column, row)
  return (row - 1) * COLUMNS + column
end

-- The same crooked grid each time.
local function crooked(n, size)
  return (n * 7919 % 101) / 101 * size - size / 2
end

for row = 1, ROWS do
  for column = 1, COLUMNS do
    local n = crossing(column, row)
    local x = 80 + (column - 1) * 100 + crooked(n, 34)
    local y = 70 + (row - 1) * 100 + crooked(n + 50, 34)
    map.crossings[n] = { math.floor(x), math.floor(y) }
  end
end

-- A river runs from the top to the bottom. Two bridges cross it, in the second and the fifth row.
local WEST_BANK = 4
for row = 1, ROWS do
  for column = 1, COLUMNS do
    local here = crossing(column, row)
    local is_street = (column * 3 + row * 5) % 11 ~= 0
    if column == WEST_BANK then
      is_street = row == 2 or row == 5
    end
    if column < COLUMNS and is_street then
      table.insert(map.streets, { here, here + 1 })
    end
    if row < ROWS and (column * 5 + row * 3) % 13 ~= 0 then
      table.insert(map.streets, { here, here + COLUMNS })
    end
  end
end
for row = 0, ROWS + 1 do
  table.insert(map.river, { 433 + math.floor(crooked(row + 3, 26)), row * 100 - 20 })
end

local function distance(a, b)
  local p, q = map.crossings[a], map.crossings[b]
  return math.sqrt((p[1] - q[1]) ^ 2 + (p[2] - q[2]) ^ 2)
end

local neighbors = {}
for _, street in ipairs(map.streets) do
  for i = 1, 2 do
    local from, to = street[i], street[3 - i]
    neighbors[from] = neighbors[from] or {}
    table.insert(neighbors[from], to)
  end
end

-- Dijkstra, over so few crossings that a list will do.
local reached, before, open = { [DEPOT] = 0 }, {}, { DEPOT }
while #open > 0 do
  table.sort(open, function(a, b)
    return reached[a] > reached[b]
  end)
  local here = table.remove(open)
  for _, there in ipairs(neighbors[here]) do
    local length = reached[here] + distance(here, there)
    if not reached[there] or length < reached[there] then
      reached[there], before[there] = length, here
      table.insert(open, there)
    end
  end
end

-- The way from the depot to a place: points, the distance of each from the depot, and the length.
function town.route(place)
  local points, at, here = {}, {}, place.crossing
  while here do
    table.insert(points, 1, map.crossings[here])
    table.insert(at, 1, reached[here])
    here = before[here]
  end
  return { points = points, at = at, length = reached[place.crossing] }
end

-- Where something is that has gone so far on a route.
function town.point(route, gone)
  for i = 2, #route.points do
    if gone <= route.at[i] then
      local share = (gone - route.at[i - 1]) / (route.at[i] - route.at[i - 1])
      local p, q = route.points[i - 1], route.points[i]
      return p[1] + (q[1] - p[1]) * share, p[2] + (q[2] - p[2]) * share
    end
  end
  local last = route.points[#route.points]
  return last[1], last[2]
end

for i, name in ipairs {
  "Bakery, Mill Lane",
  "School, Oak Street",
  "Harbor, West Bank",
  "Library, East Bank",
  "Theater, Moon Square",
  "Pharmacy, Hill Road",
  "Town Hall",
  "Station, South Bridge",
} do
  local n = ({ 11, 26, 41, 14, 24, 39, 30, 45 })[i]
  map.places[i] = { name = name, crossing = n, x = map.crossings[n][1], y = map.crossings[n][2] }
end
map.depot = { x = map.crossings[DEPOT][1], y = map.crossings[DEPOT][2] }

return town
