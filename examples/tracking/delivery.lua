-- Deliveries. A code states when a parcel was ordered, and to where: "6928f5a0-3" was ordered at second
-- 0x6928f5a0 for place 3. All else follows from the clock.

local PACKING = 6 -- seconds
local SPEED = tonumber(os.getenv "TRACKING_SPEED") or 22 -- units of the map a second
local VALID = 3600 -- seconds

return function(town)
  local delivery = { VALID = VALID }

  function delivery.code(place)
    return ("%08x-%d"):format(os.time(), place)
  end

  -- Returns the delivery with this code, or nil if there is none.
  function delivery.find(code)
    local time, place = code:match "^(%x%x%x%x%x%x%x%x)%-(%d)$"
    place = town.places[tonumber(place)]
    local age = time and os.time() - tonumber(time, 16)
    if place and age >= 0 and age < VALID then
      return { ordered = tonumber(time, 16), place = place, route = town.route(place) }
    end
  end

  -- Where the van is now, and how many seconds are left.
  function delivery.position(self)
    local driven = os.time() - self.ordered - PACKING
    local gone = math.max(0, math.min(driven * SPEED, self.route.length))
    local left = math.ceil((self.route.length - gone) / SPEED) + math.max(0, -driven)
    local x, y = town.point(self.route, gone)
    local state = left == 0 and "delivered" or driven < 0 and "packing" or "driving"
    return { state = state, x = x, y = y, gone = gone, left = left }
  end

  return delivery
end
