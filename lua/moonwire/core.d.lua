---@meta
--- The C half of moonwire that scripts use. What only the other Lua files use is in server.d.lua.

---@class moonwire.Client
---@field id string unguessable and unique
---@field user table|nil what authenticate returned; nil: anonymous
---@field user_id string user.id, else user.sub, if it is a string or an integer, which becomes its digits; else a random name
---@field transport string "websocket", "sse", "poll" or "http"
---@field remote string the client's address without port; "unix" on a unix socket
---@field data table|nil the script's own plain data, for as long as the client is connected. Changes that a handler makes
--- inside the table of its own client are stored when it ends; for another client, assign the whole
--- field
local Client = {}

--- Sends a message to this client alone. It has no id, and no channel unless one is given.
---@param event string|nil nil: "message"
---@param data any nil is null
---@param given? { binary: boolean?, channel: string? } binary: data is a string of bytes
---@return true|nil
---@return string|nil message
---@return string|nil code "closed" (it has disconnected), "too_large", or "unavailable"
function Client:send(event, data, given) end

--- Closes the connection after everything that was sent.
---@param code? integer WebSocket close code; nil: 1000. Browser clients reconnect after any code except 4401 and 4403
---@param reason? string
---@return true|nil
---@return string|nil message
---@return string|nil code
function Client:close(code, reason) end

--- Subscribes it to a channel without asking authorize. The other hooks are called; a refusal ends the subscription.
---@param name string
---@return true|nil
---@return string|nil message
---@return string|nil code
function Client:subscribe(name) end

--- Ends a subscription. The client receives moonwire:unsubscribed.
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

--- Starts the stream. stream:send does so without header fields, unless it has started.
---@param status? integer nil: 200
---@param headers? table<string, string|integer|string[]|table> as a route returns them
---@return true|nil
---@return string|nil message
---@return string|nil code "closed"
---@overload fun(self: moonwire.Stream, headers: table): true|nil, string|nil, string|nil
function Stream:start(status, headers) end

--- Sends an event. The first one starts the stream.
---@param event string|nil nil: "message"
---@param data any a string is sent as it is, anything else as JSON
---@param given? { id: string|integer?, retry: number? } retry in seconds
---@return true|nil
---@return string|nil message
---@return string|nil code
function Stream:send(event, data, given) end

--- Sends what a channel keeps after an id, and what is published to it, and waits.
---@param channel string|moonwire.Channel
---@param given? { since: string?, until_final: boolean? } since: an id; nil: all that the channel keeps
---@return true|nil only with until_final: the final message of the channel was sent
---@return string|nil message
---@return string|nil code "closed", "timeout", or "unavailable"
function Stream:follow(channel, given) end

--- Ends it after everything that was sent.
function Stream:close() end

--- Calls fn once when the stream has ended.
---@param fn fun()
function Stream:on_close(fn) end

---@class moonwire.Socket
---@field id string unguessable and unique
---@field user table|nil what authenticate returned
---@field remote string the client's address without port
---@field protocol string|nil the chosen subprotocol
---@field request moonwire.Request that on_open got
---@field closed boolean nothing more can be sent
---@field data any the script's own value
local Socket = {}

--- Sends a text message, which must be UTF-8.
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

--- Closes it after everything that was sent.
---@param code? integer nil: 1000
---@param reason? string
---@return true|nil
---@return string|nil message
---@return string|nil code
function Socket:close(code, reason) end

--- Returns the bytes that were sent and are not written to the network yet.
---@return integer
function Socket:buffered() end

--- Subscribes the socket to a channel. Messages arrive in the JSON form of the native protocol. No
--- handler is called.
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

--- Returns the JSON of a value, with sorted names. Raises with the path of what JSON cannot hold:
--- "value.items[3]: …".
---@param value any
---@return string
function json.encode(value) end

--- Returns the value of a JSON text, or nil and a message.
---@param text string
---@return any
---@return string|nil message
function json.decode(text) end

--- Marks a table as an array, even an empty one, and returns it.
---@param items table
---@return table
function json.array(items) end
