--- All options and their types (options.lua).
local options = require "moonwire.options"

local specs = {}

specs.settings = {
  auth = "auth",
  broker = "broker",
  publish_key = "text",
  origins = "strings",
  trusted_proxies = "strings",
  proxy_headers = options.one_of { "x-forwarded", "forwarded" },
  proxy_protocol = "boolean",
  deflate = "boolean or table",
  limits = {
    target = "amount",
    head = "amount",
    fields = "amount",
    body = "amount",
    message_size = "amount",
    outbox = "amount",
    replay = "amount",
    replay_bytes = "amount",
    history = "amount",
    ws_message_size = "amount",
    input_backlog = "amount",
    queue = "amount",
    connections = "amount",
    channels = "amount",
    marks = "amount",
    client_channels = "amount",
    client_names = "count",
    address_names = "count",
    address_polls = "count",
    address_connections = "count",
    user_connections = "count",
    address_handshakes = "rate",
    address_handshakes_burst = "amount",
    rate = "rate",
    burst = "amount",
    verb_rate = "rate",
    verb_burst = "amount",
    over_rate = options.one_of { "refuse", "close" },
    waiting = "amount",
    size = options.former "message_size",
    message = options.former "ws_message_size",
    stash = options.former "input_backlog",
    head_seconds = "duration",
    body_seconds = "duration",
    message_seconds = "duration",
    idle_seconds = "duration",
    answer_seconds = "duration",
    heartbeat_seconds = "duration",
    connect_seconds = "duration",
    ping_seconds = "duration",
    pong_seconds = "duration",
    progress_seconds = "duration",
    drain_seconds = "seconds",
    poll_seconds = "duration",
    poll_client_seconds = "duration",
  },
  paths = {
    ws = "path or false",
    sse = "path or false",
    send = "path or false",
    publish = "path or false",
    health = "path or false",
    ready = "path or false",
    poll = "path or false",
    client = "path or false",
  },
}

local of_history = options.elsewhere "an option of 'history'"
local of_publishing = options.elsewhere "an option of publishing"

specs.channel = {
  size = of_history,
  ttl = of_history,
  bytes = of_history,
  replay = of_history,
  readable = of_history,
  volatile = of_publishing,
  key = of_publishing,
  final = of_publishing,
  authorize = "authorize",
  on = "table",
  relay = "table",
  history = {
    size = "count",
    ttl = "duration",
    bytes = "amount",
    replay = "count",
    readable = "boolean",
  },
  slow = options.one_of { "catchup", "close", "drop", "latest" },
  on_open = "function",
  on_join = "function",
  on_leave = "function",
  on_close = "function",
  on_slow = "function",
  linger = "seconds",
  presence = "presence",
  limits = {
    outbox = "amount",
    age = "duration",
    members = "amount",
    channels = "amount",
    message_size = "amount",
    rate = "rate",
    burst = "amount",
    events = "table",
    total_rate = "rate",
    total_burst = "amount",
    over_rate = options.one_of { "refuse", "close" },
  },
}

specs.websocket = {
  deflate = "boolean or table",
  protocols = "strings",
  origins = "strings",
  limits = {
    message_size = "amount",
    frame_size = "amount",
    message = options.former "message_size",
    frame = options.former "frame_size",
    outbox = "amount",
    rate = "rate",
    burst = "amount",
    ping_seconds = "duration",
    pong_seconds = "duration",
  },
  on_open = "function",
  on_message = "function",
  on_close = "function",
}

specs.static = { fallback = "text", cache = "cache", headers = "table" }

specs.route = { cross_site = "boolean", origins = "boolean" }

specs.publish = {
  volatile = "boolean",
  key = "string",
  final = "boolean",
  binary = "boolean",
  except = "client",
  wait = "boolean",
}

specs.publish_item = {
  channel = "string",
  event = "string",
  data = "any",
  volatile = "boolean",
  key = "string",
  final = "boolean",
  binary = "boolean",
  except = "client",
}

specs.publish_all = { wait = "boolean" }

specs.produce = { idle_seconds = "duration" }

specs.send = { binary = "boolean", channel = "string" }
specs.clients = { user_id = "string or number" }

return specs
