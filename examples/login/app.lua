-- Logging in with a cookie: users in a file, sessions on the server, and a page that sees its
-- sessions live.
--
--     bin/moonwire examples/login/app.lua         then open http://127.0.0.1:8080/
--
-- Log in as "ann" with the password "moonlight sonata", in two browsers. The file `users` has the
-- users; `bin/moonwire hash-password` makes a hash for another one.
--
-- What moonwire does by itself: a POST with a cookie that may come from another site is refused, and
-- so is a stream. What this script does: it hashes passwords, bounds the guesses, changes the session
-- id at every login, keeps only hashes of ids, ends sessions, and forbids scripts of others by a
-- Content-Security-Policy.

local moonwire = require "moonwire"
local crypto = moonwire.crypto

-- The demo passes its own app and another path. Otherwise, this is the whole app.
local app, path = ...
app, path = app or moonwire.app {}, path or "/"
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

local SESSION_SECONDS = 2 * 3600
local SESSIONS_OF_USER = 5 -- the oldest ends
local STREAMS_OF_SESSION = 10
-- Guesses of passwords: from one address, and for one name. A name has more, so that others cannot
-- easily lock its user out.
local GUESSES_OF_ADDRESS, GUESSES_OF_NAME, GUESS_SECONDS = 10, 50, 300
local GUESSES_KEPT = 10000

local function read(name)
  local file = assert(io.open(here .. name))
  local text = file:read "a"
  file:close()
  return text
end

-- ---- Users ----------------------------------------------------------------------------------------------------------------

local users = {}
for line in read("users"):gmatch "[^\r\n]+" do
  local name, shown, hash = line:match "^([%w._-]+):([^:]+):(%$scrypt%$%S+)$"
  if name then
    users[name] = { id = name, shown = shown, hash = hash }
  elseif line:sub(1, 1) ~= "#" then
    error("users: not a line of name:name to show:hash: " .. line)
  end
end

-- ---- Guesses --------------------------------------------------------------------------------------------------------------

local guesses, guess_count, now = {}, 0, 0

-- Counts a guess. Returns false if there were too many.
local function may_guess(key, most)
  local entry = guesses[key]
  if not entry then
    if guess_count >= GUESSES_KEPT then
      return false -- many addresses are guessing at the same time
    end
    entry = { count = 0, ends = now + GUESS_SECONDS }
    guesses[key], guess_count = entry, guess_count + 1
  end
  entry.count = entry.count + 1
  return entry.count <= most
end

-- ---- Sessions -------------------------------------------------------------------------------------------------------------

-- By the hash of their id: who reads the memory of this process cannot use it as a cookie.
local sessions = {}

local function sessions_of(user)
  local list = {}
  for _, session in pairs(sessions) do
    if session.user == user then
      list[#list + 1] = session
    end
  end
  table.sort(list, function(a, b)
    return a.number < b.number
  end)
  return list
end

-- Tells all pages of a user which sessions there are.
local function announce(user)
  local list = sessions_of(user)
  for _, session in ipairs(list) do
    for stream in pairs(session.streams) do
      local shown = {}
      for i, other in ipairs(list) do
        shown[i] = { browser = other.browser, since = other.since, current = other == session }
      end
      stream:send("sessions", shown)
    end
  end
end

local function end_session(session)
  sessions[session.key] = nil
  for stream in pairs(session.streams) do
    stream:send("ended", {})
    stream:close()
  end
end

local last_number = 0

-- Begins a session with a new id, and returns its cookie.
local function begin_session(user, request)
  local id = crypto.random(32, "base64url")
  local browser = (request.headers["user-agent"] or "unknown"):sub(1, 200):gsub("[^ -~]", "?")
  last_number = last_number + 1
  local session = { key = crypto.sha256(id), user = user, number = last_number, browser = browser }
  session.since, session.ends, session.streams = os.time(), now + SESSION_SECONDS, {}
  local list = sessions_of(user)
  if #list >= SESSIONS_OF_USER then
    end_session(list[1])
  end
  sessions[session.key] = session
  announce(user)
  -- HttpOnly, SameSite=Lax, and over HTTPS also Secure. On a site that only has HTTPS, call it
  -- "__Host-session".
  return { value = id, max_age = SESSION_SECONDS }
end

-- moonwire counts the seconds, so that a test can move them.
app:every(10, function()
  now = now + 10
  for key, entry in pairs(guesses) do
    if entry.ends <= now then
      guesses[key], guess_count = nil, guess_count - 1
    end
  end
  for _, session in pairs(sessions) do
    if session.ends <= now then
      end_session(session)
      announce(session.user)
    end
  end
end)

-- ---- Pages ----------------------------------------------------------------------------------------------------------------

local headers = {
  ["Content-Type"] = "text/html; charset=utf-8",
  ["Content-Security-Policy"] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    .. "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  ["Cache-Control"] = "no-store",
  ["Referrer-Policy"] = "same-origin",
  ["X-Content-Type-Options"] = "nosniff",
}

local escapes =
  { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }
local templates = { enter = read "enter.html", account = read "account.html" }

-- Fills the {names} of a template with text, escaped.
local function render(name, values)
  values.path = path
  return (
    templates[name]:gsub("{(%l+)}", function(key)
      return (tostring(values[key] or ""):gsub("[&<>\"']", escapes))
    end)
  )
end

-- The cookie proves that a posted form is this one. Otherwise, a page of another site could log its
-- visitors in as a user of its own, and see what they do.
local enter_headers = {
  cookies = { enter = { value = "1", path = path .. "enter", same_site = "Strict" } },
}
for name, value in pairs(headers) do
  enter_headers[name] = value
end

local function enter_page(status, name, message)
  return status, render("enter", { name = name, message = message }), enter_headers
end

app:get(path .. "enter", function()
  return enter_page(200)
end)

app:post(path .. "enter", function(request)
  local form = request:form()
  local name, password = form and form.name, form and form.password
  if not name or not password or #name > 100 or not utf8.len(name) then
    return enter_page(400, "", "Please enter a name and a password.")
  elseif not request:cookie "enter" then
    return enter_page(400, name, "Please allow cookies, and try again.")
  end
  -- Counted before the password is checked, which takes time.
  local may = may_guess("address " .. request.remote, GUESSES_OF_ADDRESS)
  if not (may_guess("name " .. name, GUESSES_OF_NAME) and may) then
    return enter_page(429, name, "Too many attempts. Please wait a few minutes.")
  end
  local user = users[name]
  -- Without a hash, the check takes as long, and fails.
  local ok, _, code = crypto.password_verify(password, user and user.hash)
  if ok == nil and code ~= "invalid" then
    return enter_page(503, name, "The server is busy. Please try again.")
  elseif not ok then
    return enter_page(401, name, "This name and password do not match.")
  end
  return moonwire.redirect(
    path .. "account",
    { cookies = { session = begin_session(user, request) } }
  )
end)

-- Before everything below /account.
app:before(path .. "account", function(request)
  local id = request:cookie "session"
  request.session = id and sessions[crypto.sha256(id)]
  if not request.session then
    if request.path == path .. "account/events" then
      return 401, "please log in"
    end
    -- The cookie is not deleted: the browser has left it out if the request is of another site.
    return moonwire.redirect(path .. "enter")
  end
end)

app:get(path .. "account", function(request)
  return 200, render("account", { name = request.session.user.shown }), headers
end)

app:post(path .. "account/leave", function(request)
  end_session(request.session)
  announce(request.session.user)
  return moonwire.redirect(path .. "enter", { cookies = { session = false } })
end)

app:post(path .. "account/leave-others", function(request)
  for _, session in ipairs(sessions_of(request.session.user)) do
    if session ~= request.session then
      end_session(session)
    end
  end
  announce(request.session.user)
  return moonwire.redirect(path .. "account")
end)

app:stream(path .. "account/events", function(request, stream)
  local session, count = request.session, 0
  for _ in pairs(session.streams) do
    count = count + 1
  end
  if count >= STREAMS_OF_SESSION then
    return 429, "too many pages are open"
  end
  session.streams[stream] = true
  stream:on_close(function()
    session.streams[stream] = nil
  end)
  announce(session.user)
end)

app:static(path .. "assets", "page")
app:static(path .. "shared", "../shared")

app:get(path, function()
  return moonwire.redirect(path .. "account")
end)

return app
