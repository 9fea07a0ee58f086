-- What nginx does beside moonwire: logs users in, and publishes. See README.md.

local json = require "cjson.safe"
local publisher = require "moonwire.publisher"
local token = require "moonwire.token"

local TOKEN_SECONDS = 3600

local site = {}
local key, verifier, events

-- In place of a database: names and passwords.
local passwords = { ann = "moonlight", bob = "sonata" }

local function read_key(path)
  local file = assert(io.open(path))
  local text = file:read "*l"
  file:close()
  return text
end

-- In init_by_lua, before the workers start, nginx may still read what only root may.
function site.configure(options)
  key = read_key(options.keys .. "/token_key")
  verifier = token { key = key }
  events = publisher.new {
    address = options.publish_to,
    key = read_key(options.keys .. "/publish_key"),
  }
end

-- ---- Users --------------------------------------------------------------------------------------

local function user_of_request()
  local claims = verifier:verify(ngx.var.cookie_token)
  return claims and claims.sub
end

local function set_token(user)
  local text = token.sign({ sub = user }, { key = key, expires_in = TOKEN_SECONDS })
  local cookie = "token=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%s"
  local secure = ngx.var.scheme == "https" and "; Secure" or ""
  ngx.header["Set-Cookie"] = cookie:format(text, TOKEN_SECONDS, secure)
  ngx.header["Cache-Control"] = "no-store"
  return text
end

function site.require_login()
  if not user_of_request() then
    return ngx.redirect("/login", 303)
  end
  ngx.header["Cache-Control"] = "no-store"
end

function site.require_user()
  ngx.ctx.user = user_of_request()
  -- SameSite=Lax keeps the cookie from posts of other sites; the origin also excludes other ports.
  local origin = ngx.var.http_origin
  local own = ngx.var.scheme .. "://" .. (ngx.var.http_host or "")
  if not ngx.ctx.user then
    return ngx.exit(401)
  elseif ngx.req.get_method() ~= "POST" or (origin and origin ~= own) then
    return ngx.exit(403)
  end
end

local form = [[
<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Log in</title>
<h1>Log in</h1>
<form method="post" action="/login">
<p><label>Name <input name="name" autocomplete="username" required></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<p role="alert">%s</p>
<p><button>Log in</button></p>
</form></html>
]]

local function show_form(status, message)
  ngx.status = status
  ngx.header["Content-Type"] = "text/html; charset=utf-8"
  ngx.header["Cache-Control"] = "no-store"
  ngx.print(form:format(message))
end

function site.login()
  if ngx.req.get_method() ~= "POST" then
    return show_form(200, "")
  end
  ngx.req.read_body()
  local fields = ngx.req.get_post_args(5) or {}
  local name = type(fields.name) == "string" and fields.name or ""
  if not passwords[name] or passwords[name] ~= fields.password then
    return show_form(401, "This name and password do not match.")
  end
  set_token(name)
  return ngx.redirect("/", 303)
end

function site.renew()
  ngx.header["Content-Type"] = "text/plain"
  ngx.print(set_token(ngx.ctx.user))
end

-- For auth_request: 2xx with the user in a header, or 401.
function site.auth()
  local user = user_of_request()
  if not user then
    return ngx.exit(401)
  end
  ngx.header["X-User"] = user
  ngx.exit(204)
end

-- ---- Publishing ---------------------------------------------------------------------------------

-- In content_by_lua: the answer waits until the message is published.
function site.news()
  ngx.req.read_body()
  local text = ngx.req.get_body_data()
  if not text or text == "" then
    return ngx.exit(400)
  end
  local id, message, code = events:publish("news", "item", { from = ngx.ctx.user, text = text })
  ngx.header["Content-Type"] = "application/json"
  if not id then
    ngx.log(ngx.ERR, "news: ", message)
    ngx.status = (code == "unavailable" or code == "timeout") and 503 or 500
  end
  ngx.print(json.encode { id = id, error = code })
end

-- In log_by_lua: there are no sockets, so a timer publishes a moment later.
function site.log()
  local _, message = events:publish("requests", "request", {
    method = ngx.req.get_method(),
    path = ngx.var.uri,
    status = ngx.status,
    seconds = tonumber(ngx.var.request_time),
  })
  if message then
    ngx.log(ngx.ERR, "requests: ", message)
  end
end

-- In a timer, of one worker.
function site.start_clock()
  if ngx.worker.id() ~= 0 then
    return
  end
  assert(ngx.timer.every(1, function(is_exiting)
    if not is_exiting then
      events:publish("clock", "tick", { time = ngx.time(), worker = ngx.worker.pid() })
    end
  end))
end

-- ---- Streams ------------------------------------------------------------------------------------

-- The answer of a back end: nginx continues with the stream that the header names.
function site.choose_stream()
  local user = user_of_request()
  if not user then
    return ngx.exit(401)
  elseif ngx.var.uri == "/my/socket" then
    ngx.header["X-Accel-Redirect"] = "/internal/ws"
  else
    ngx.header["X-Accel-Redirect"] = "/internal/sse?channel=" .. ngx.escape_uri("user:" .. user)
  end
end

-- moonwire cannot be reached. A browser ends an EventSource permanently on any status but 200.
function site.down()
  if not ngx.var.uri:find "/sse$" then
    return ngx.exit(502)
  end
  ngx.status = 200
  ngx.header["Content-Type"] = "text/event-stream"
  ngx.header["Cache-Control"] = "no-cache"
  -- Browsers reconnect after different delays, not all at the same moment.
  ngx.print(("retry: %d\n\n"):format(math.random(2000, 6000)))
end

return site
