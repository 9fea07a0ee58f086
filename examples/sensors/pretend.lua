-- Three devices that do not exist, so that the page has something to show. The cellar is silent now and
-- then. Calls take(device, value, unit).

return function(app, take)
  local seconds = 0

  local function wave(period, middle, swing)
    local noise = (math.random() - 0.5) * swing / 4
    return middle + swing * math.sin(seconds / period * 2 * math.pi) + noise
  end

  local function round(number)
    return math.floor(number * 10 + 0.5) / 10
  end

  local function post()
    seconds = seconds + 2
    take("greenhouse", round(wave(90, 24, 3)), "°C")
    take("roof", round(wave(140, 18, 6)), "km/h")
    if seconds % 60 < 40 then
      take("cellar", round(wave(200, 61, 4)), "%")
    end
  end

  app:after(0, function() -- so that the first page shows charts
    for _ = 1, 120 do
      post()
    end
  end)
  app:every(2, post)
end
