---@meta
--- What scripts meet of the half of moonwire that is written in C. What the Lua files beside this one use of it is
--- in server.d.lua.

---@class moonwire.Client
---@field id string unguessable and unique
---@field user table|nil what authenticate returned, as plain data; nil: anonymous
---@field user_id string|number user.id, else user.sub, else a name of its own, which is not its id
---@field transport string "websocket", "sse", "poll" or "http"
---@field remote string the peer's address without port; "unix" on a unix socket
---@field data table|nil plain data of the script's own, kept as long as the client; the changes that a handler makes inside the
--- table of its own client are stored when it ends, those for another client when they are set
local Client = {}

--- Sends to this client alone: a push without id, and without channel unless one is given.
---@param event string|nil nil: "message"
---@param data any nil is null
---@param given? { binary: boolean?, channel: string? } binary: data is a string of bytes
---@return true|nil
---@return string|nil message
---@return string|nil code "closed": it has gone; "too_large", "unavailable"
function Client:send(event, data, given) end

--- Closes the connection after what was sent.
---@param code? integer of WebSocket; nil: 1000. Clients of moonwire return after any code but 4401 and 4403
---@param reason? string
---@return true|nil
---@return string|nil message
---@return string|nil code
function Client:close(code, reason) end

--- Subscribes it to a channel without asking authorize.
---@param name string
---@return true|nil
---@return string|nil message
---@return string|nil code
function Client:subscribe(name) end

--- Ends a subscription; the client is told by moonwire:unsubscribed.
---@param name string
---@param reason? string for the client
---@param code? string nil: "unsubscribed"
---@return true|nil
---@return string|nil message
---@return string|nil code
function Client:unsubscribe(name, reason, code) end

---@class moonwire.Stream
---@field closed boolean
local Stream = {}

--- Sends an event; the first one begins the stream.
---@param event string|nil nil: "message"
---@param data any a string as it is, anything else as JSON
---@param given? { id: string|integer?, retry: number? } retry in seconds
---@return true|nil
---@return string|nil message
---@return string|nil code
function Stream:send(event, data, given) end

--- Ends it after what was sent.
function Stream:close() end

--- Calls fn once when the stream is over.
---@param fn fun()
function Stream:on_close(fn) end

---@class moonwire.Socket
---@field id string unguessable and unique
---@field user table|nil what authenticate returned
---@field remote string the peer's address without port
---@field protocol string|nil the subprotocol that was chosen
---@field request moonwire.Request that on_open got
---@field closed boolean nothing can be sent any more
---@field data any the script's own
local Socket = {}

--- Sends a text message, which must be UTF-8. Likewise the next.
---@param text string
---@return true|nil
---@return string|nil message
---@return string|nil code "closed" or "unavailable"
function Socket:send(text) end

---@param bytes string
---@return true|nil
---@return string|nil message
---@return string|nil code
function Socket:send_binary(bytes) end

---@param bytes? string at most 125
---@return true|nil
---@return string|nil message
---@return string|nil code
function Socket:ping(bytes) end

--- Closes it after what was sent.
---@param code? integer nil: 1000
---@param reason? string
---@return true|nil
---@return string|nil message
---@return string|nil code
function Socket:close(code, reason) end

--- Bytes that were sent and are not written yet.
---@return integer
function Socket:buffered() end

--- It gets what is published to the channel, as the JSON of the native protocol; nobody is asked.
---@param name string
---@return true|nil
---@return string|nil message
---@return string|nil code
function Socket:subscribe(name) end

---@param name string
---@return true|nil
---@return string|nil message
---@return string|nil code
function Socket:unsubscribe(name) end

---@class moonwire.Json
---@field null lightuserdata JSON's null
local json = {}

--- The text of a value, with sorted names. Raises with the path of what has no form in JSON: "value.items[3]: ...".
---@param value any
---@return string
function json.encode(value) end

--- The value of a text, or nil and a message.
---@param text string
---@return any
---@return string|nil message
function json.decode(text) end

--- Marks a table as an array, even an empty one, and returns it.
---@param items table
---@return table
function json.array(items) end
