-- A text that several authors change at the same time: the server's copy. page/text.js is the other
-- half, and explains how the characters are ordered. The server does not need the order.
--
-- A character has an author and a number: the first that "a1" types is 1, the next 2. For each author,
-- a copy knows up to which number it has `seen` characters, and which of these are alive. The others
-- were deleted, so a deleted character leaves nothing behind.
--
-- An edit is what one copy tells another:
--   spans    by author: { after, upto }. The edit is about the numbers after `after`, up to `upto`:
--            those that it inserts are alive, all others of them are deleted.
--   inserts  list of { author, number, path, index, text }: a run of characters
--   deletes  list of { author, number, count }: earlier characters that were deleted
-- Edits can arrive twice, and in any order in which none is behind (its `after` was not seen yet).

local json = require("moonwire").json
local array = require("moonwire").array

local WEIGHT_MAX = 1024 * 1024 -- bytes of a document in memory, roughly
local TEXT_MAX = 10000 -- characters
local AUTHORS_MAX = 500
local NUMBER_MAX = 1000000000
local ITEMS_MAX = 2000 -- inserts, or deletes, in one edit
local NUMBERS_MAX = 20000 -- numbers that the spans, or the deletes, of one edit are about

local document = {}

function document.new()
  return { authors = {}, author_count = 0, weight = 0, length = 0, version = 0 }
end

-- ---- Checking what comes from outside -------------------------------------------------------------

local function is_author(value)
  return type(value) == "string" and #value <= 16 and value:find "^%w+$" ~= nil
end

local function is_integer(value, least, most)
  return math.type(value) == "integer" and value >= least and value <= most
end

-- "a1.0:4>b2.0": the run b2.0, which is after (>) the character 4 of the run a1.0.
local function is_path(value)
  if type(value) ~= "string" or #value > 1000 then
    return false
  end
  local last = value:gsub("%w+%.%w+:%-?%d+[<>]", "")
  return last:find "^%w+%.%w+$" ~= nil
end

-- No control characters, and none that turn around the text of others (U+202A to 202E, 2066 to 2069).
local function is_text(value)
  return type(value) == "string"
    and #value <= 32768
    and not value:find "[\0-\8\11-\31\127]"
    and not value:find "\xE2\x80[\xAA-\xAE]"
    and not value:find "\xE2\x81[\xA6-\xA9]"
    and utf8.len(value) ~= nil
end

local function is_insert(item, spans)
  if type(item) ~= "table" or not is_author(item[1]) or not is_integer(item[2], 1, NUMBER_MAX) then
    return false
  elseif not is_path(item[3]) or not is_integer(item[4], -NUMBER_MAX, NUMBER_MAX) then
    return false
  elseif not is_text(item[5]) then
    return false
  end
  local span, last = spans[item[1]], item[2] + utf8.len(item[5]) - 1
  return span ~= nil and item[2] > span[1] and last <= span[2]
end

local function is_delete(item)
  return type(item) == "table"
    and is_author(item[1])
    and is_integer(item[2], 1, NUMBER_MAX)
    and is_integer(item[3], 1, NUMBERS_MAX)
end

local function is_list(value, check, spans)
  if type(value) ~= "table" or #value > ITEMS_MAX then
    return false
  end
  for _, item in ipairs(value) do
    if not check(item, spans) then
      return false
    end
  end
  return true
end

local function are_spans(value)
  if type(value) ~= "table" then
    return false
  end
  local count, numbers = 0, 0
  for author, span in pairs(value) do
    if not is_author(author) or type(span) ~= "table" or not is_integer(span[1], 0, NUMBER_MAX) then
      return false
    elseif not is_integer(span[2], span[1] + 1, NUMBER_MAX) then
      return false
    end
    count, numbers = count + 1, numbers + span[2] - span[1]
  end
  return count <= AUTHORS_MAX and numbers <= NUMBERS_MAX
end

local function are_deletes(value)
  local numbers = 0
  if is_list(value, is_delete) then
    for _, item in ipairs(value) do
      numbers = numbers + item[3]
    end
    return numbers <= NUMBERS_MAX
  end
  return false
end

-- ---- Merging --------------------------------------------------------------------------------------

local function seen(self, author)
  return self.authors[author] and self.authors[author].upto or 0
end

local function is_behind(self, edit)
  for author, span in pairs(edit.spans) do
    if seen(self, author) < span[1] then
      return true
    end
  end
  for _, item in ipairs(edit.deletes) do
    local span = edit.spans[item[1]]
    if math.max(seen(self, item[1]), span and span[2] or 0) < item[2] + item[3] - 1 then
      return true
    end
  end
  return false
end

-- The characters of an edit that are new, by author and number, their count and weight.
local function characters(self, edit)
  local listed, count, weight = {}, 0, 0
  for _, item in ipairs(edit.inserts) do
    local author, number, path, index, text = table.unpack(item, 1, 5)
    listed[author] = listed[author] or {}
    for _, code in utf8.codes(text) do
      if number > seen(self, author) then
        count, weight = count + 1, weight + #path + 64
      end
      listed[author][number] = { path, index, utf8.char(code) }
      number, index = number + 1, index + 1
    end
  end
  return listed, count, weight
end

local function oldest_without_text(self)
  local oldest
  for author, entry in pairs(self.authors) do
    if next(entry.alive) == nil and (not oldest or entry.at < self.authors[oldest].at) then
      oldest = author
    end
  end
  return oldest
end

-- Makes room for the authors of an edit, by forgetting others of whom no text is left.
local function admit_authors(self, spans)
  for author in pairs(spans) do
    if not self.authors[author] then
      local oldest = self.author_count >= AUTHORS_MAX and oldest_without_text(self)
      if oldest then
        self.authors[oldest], self.author_count = nil, self.author_count - 1
      elseif self.author_count >= AUTHORS_MAX then
        return false
      end
      self.authors[author] = { upto = 0, alive = {}, at = self.version + 1 }
      self.author_count = self.author_count + 1
    end
  end
  return true
end

local function kill(self, author, number)
  local alive = self.authors[author] and self.authors[author].alive or {}
  local character = alive[number]
  if not character then
    return false
  end
  alive[number] = nil
  self.weight = self.weight - #character[1] - 64
  self.length = self.length - 1
  return true
end

local function merge_span(self, author, span, listed)
  local entry = self.authors[author]
  local changed = span[2] > entry.upto
  for number = span[1] + 1, span[2] do
    local character = listed and listed[number]
    if not character then
      changed = kill(self, author, number) or changed
    elseif number > entry.upto then
      entry.alive[number] = character
      self.weight = self.weight + #character[1] + 64
      self.length = self.length + 1
    end
  end
  entry.upto, entry.at = math.max(entry.upto, span[2]), self.version
  return changed
end

-- Merges an edit. Returns whether it changed anything, or nil, a reason, and a code: "bad_edit",
-- "behind" (send the edits before it first), or "full".
function document.merge(self, edit)
  if type(edit) ~= "table" or not are_spans(edit.spans) then
    return nil, "this is not an edit", "bad_edit"
  elseif not is_list(edit.inserts, is_insert, edit.spans) or not are_deletes(edit.deletes) then
    return nil, "this is not an edit", "bad_edit"
  elseif is_behind(self, edit) then
    return nil, "earlier edits are missing", "behind"
  end
  local listed, count, weight = characters(self, edit)
  if self.length + count > TEXT_MAX or self.weight + weight > WEIGHT_MAX then
    return nil, "the document is full", "full"
  end
  if not admit_authors(self, edit.spans) then
    return nil, "the document has too many authors", "full"
  end
  local changed = false
  for author, span in pairs(edit.spans) do
    changed = merge_span(self, author, span, listed[author]) or changed
  end
  for _, item in ipairs(edit.deletes) do
    for number = item[2], item[2] + item[3] - 1 do
      changed = kill(self, item[1], number) or changed
    end
  end
  if changed then
    self.version, self.text = self.version + 1, nil
  end
  return changed
end

-- ---- The whole document as one edit ----------------------------------------------------------------

local function add_runs(inserts, author, alive)
  local numbers = {}
  for number in pairs(alive) do
    numbers[#numbers + 1] = number
  end
  table.sort(numbers)
  local run, length = nil, 0
  for _, number in ipairs(numbers) do
    local path, index, character = table.unpack(alive[number])
    local continues = run and run[2] + length == number and run[3] == path
    if continues and run[4] + length == index then
      run[5], length = run[5] .. character, length + 1
    else
      run, length = array { author, number, path, index, character }, 1
      inserts[#inserts + 1] = run
    end
  end
end

-- Returns it as JSON, with the document's version.
function document.encode(self)
  if not self.text then
    local inserts, spans = array {}, {}
    for author, entry in pairs(self.authors) do
      spans[author] = array { 0, entry.upto }
      add_runs(inserts, author, entry.alive)
    end
    local whole = { spans = spans, inserts = inserts, deletes = array {} }
    self.text = json.encode { version = self.version, edit = whole }
  end
  return self.text
end

return document
