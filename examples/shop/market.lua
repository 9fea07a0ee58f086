-- The goods of the shop, and what happens to them: people elsewhere buy, prices change, and new stock
-- arrives. Calls changed(product, what), where what is "price" or "stock".

local market = {}

market.products = {
  {
    id = "lamp",
    name = "Moon lamp",
    about = "Dims with the phases of the moon.",
    price = 3490,
    stock = 7,
  },
  { id = "kettle", name = "Tide kettle", about = "Boils at high water.", price = 5900, stock = 3 },
  {
    id = "atlas",
    name = "Star atlas",
    about = "88 constellations on linen.",
    price = 2750,
    stock = 12,
  },
  {
    id = "boots",
    name = "Night boots",
    about = "Quiet soles for early risers.",
    price = 8900,
    stock = 1,
  },
  {
    id = "radio",
    name = "Short-wave radio",
    about = "Eleven bands and a long wire.",
    price = 12900,
    stock = 5,
  },
  { id = "blanket", name = "Comet blanket", about = "Wool, with a tail.", price = 4200, stock = 0 },
}

market.by_id = {}
for _, product in ipairs(market.products) do
  market.by_id[product.id] = product
  product.usual = product.price
end

-- What changes of a product.
function market.state(product)
  return { price = product.price, stock = product.stock }
end

function market.step(changed)
  local product = market.products[math.random(#market.products)]
  local dice = math.random()
  if dice < 0.5 then
    local swing = (math.random() - 0.5) * 0.3
    product.price = math.floor(product.usual * (1 + swing) / 10 + 0.5) * 10
    changed(product, "price")
  elseif product.stock == 0 then
    product.stock = math.random(2, 8)
    changed(product, "stock")
  elseif dice < 0.8 then
    product.stock = product.stock - 1
    changed(product, "stock")
  end
end

-- Sets what the back end has posted: {"price":1990}, in cents, or {"stock":5}, or both. Returns the list of
-- what is new. Raises what a route answers.
function market.set(product, new)
  local changes = {}
  for _, what in ipairs { "price", "stock" } do
    local value = type(new) == "table" and new[what]
    if math.type(value) == "integer" and value >= 0 and value < 1000000000 then
      changes[#changes + 1] = what
    end
  end
  if not product or #changes == 0 then
    error {
      code = product and "bad_request" or "not_found",
      message = 'expected {"price":1990} or {"stock":5}',
    }
  end
  for _, what in ipairs(changes) do
    product[what] = new[what]
  end
  return changes
end

return market
