--- A doubly linked list, whose items are tables with the fields _list, _previous, and _next.
local linked = {}

--- Appends an item that is in no list.
---@param list table
---@param item table
function linked.append(list, item)
  item._list, item._previous, item._next = list, list.last, nil
  if list.last then
    list.last._next = item
  else
    list.first = item
  end
  list.last = item
end

--- Removes an item from its list. Has no effect if it is in none.
---@param item table
function linked.remove(item)
  local list, previous, following = item._list, item._previous, item._next
  if not list then
    return
  elseif previous then
    previous._next = following
  else
    list.first = following
  end
  if following then
    following._previous = previous
  else
    list.last = previous
  end
  item._list, item._previous, item._next = nil, nil, nil
end

--- Removes and returns the first item, or returns nil.
---@param list table
---@return table|nil
function linked.take(list)
  local item = list.first
  if item then
    linked.remove(item)
  end
  return item
end

return linked
