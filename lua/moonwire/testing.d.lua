---@meta moonwire.testing
--- Tests of apps: docs/how-to/testing.md shows how, docs/reference/lua/testing.md describes each
--- function.

-- luacheck: ignore 2
---@class moonwire.testing
local testing = {}

--- Starts an app in this process, without ports, on a clock that stands still.
---@param app moonwire.App|string an app that has not run, or the path of a script that returns one
---@param given? { broker: boolean? } whether calls wait as for a broker; nil: if the app has one
---@return moonwire.testing.Server
function testing.start(app, given) end

--- Stops all servers that run: for after_each.
function testing.stop_all() end

-- ---- The server -----------------------------------------------------------------------------------------------------------

---@class moonwire.testing.Server
---@field app moonwire.App
local Server = {}

---@class moonwire.testing.ConnectOptions
---@field transport? "websocket"|"sse"|"poll" nil: "websocket"
---@field channels? string[] subscribed when it connects; required for "sse" and "poll"
---@field token? string
---@field last_id? string continue after this id; "0": everything that is kept
---@field headers? table<string, string|string[]>
---@field cookies? table<string, string> those that a browser would send
---@field query? table<string, any>
---@field within? number seconds by which time may move until it is answered
---@field name? string for error messages

--- Connects a client; raises if it is refused.
---@param given? moonwire.testing.ConnectOptions
---@return moonwire.testing.Client
function Server:connect(given) end

---@param given? moonwire.testing.ConnectOptions
---@return moonwire.testing.Client|nil
---@return string|nil reason
---@return string|nil code
---@return integer|nil status
function Server:try_connect(given) end

---@class moonwire.testing.RequestOptions
---@field headers? table<string, string|string[]>
---@field cookies? table<string, string> those that a browser would send
---@field query? table<string, any>
---@field token? string sent as Authorization: Bearer
---@field body? string|table a table is sent as JSON
---@field form? table<string, any> sent as a page posts a form
---@field within? number

---@class moonwire.testing.Response
---@field status integer
---@field headers table<string, string> names in lower case
---@field cookies table<string, string> what Set-Cookie sets
---@field body string
---@field json fun(self: moonwire.testing.Response): any

---@param method string
---@param path string
---@param given? moonwire.testing.RequestOptions
---@return moonwire.testing.Response
function Server:request(method, path, given) end

---@class moonwire.testing.Pending
---@field done fun(): boolean
---@field result fun(): any, string|nil, string|nil raises if there is none yet

--- As request, without waiting.
---@param method string
---@param path string
---@param given? moonwire.testing.RequestOptions
---@return moonwire.testing.Pending
function Server:start_request(method, path, given) end

---@class moonwire.testing.StreamOptions
---@field method? string nil: "GET"
---@field body? string
---@field headers? table<string, string|string[]>
---@field cookies? table<string, string> those that a browser would send
---@field query? table<string, any>
---@field token? string sent as Authorization: Bearer
---@field last_id? string sent as Last-Event-ID
---@field within? number
---@field name? string

--- Opens an event stream of app:stream; raises if it is refused.
---@param path string
---@param given? moonwire.testing.StreamOptions
---@return moonwire.testing.Stream
function Server:stream(path, given) end

---@param path string
---@param given? moonwire.testing.StreamOptions
---@return moonwire.testing.Stream|nil
---@return string|nil reason
---@return string|nil code
---@return integer|nil status
function Server:try_stream(path, given) end

---@class moonwire.testing.SocketOptions
---@field protocols? string[]
---@field headers? table<string, string|string[]>
---@field cookies? table<string, string> those that a browser would send
---@field query? table<string, any>
---@field token? string sent as Authorization: Bearer
---@field within? number
---@field name? string

--- Opens a WebSocket of app:websocket; raises if it is refused.
---@param path string
---@param given? moonwire.testing.SocketOptions
---@return moonwire.testing.Socket
function Server:websocket(path, given) end

---@param path string
---@param given? moonwire.testing.SocketOptions
---@return moonwire.testing.Socket|nil
---@return string|nil reason
---@return string|nil code
---@return integer|nil status
function Server:try_websocket(path, given) end

--- As app:publish; raises if it fails.
---@param channel string
---@param event string|nil
---@param data any
---@param given? moonwire.PublishOptions
---@return string|true id
function Server:publish(channel, event, data, given) end

--- Moves time on; all that falls due happens at its moment.
---@param seconds number
function Server:advance(seconds) end

--- The server's time, in seconds since 1970.
---@return number
function Server:time() end

--- Signs claims as the app's `auth` accepts them, at the server's time, and returns the token. It
--- expires in an hour unless the claims or the options state something else.
---@param claims table
---@param given? moonwire.SignOptions a public key of the app requires private_key
---@return string
function Server:token(claims, given) end

--- Calls fn, in which a handler must fail with an error that contains the text.
---@param expected string
---@param fn fun()
---@return string error
function Server:expect_error(expected, fn) end

--- Stops the app as a signal does; raises if a handler failed.
function Server:stop() end

-- ---- What clients have in common ------------------------------------------------------------------------------------------

---@class moonwire.testing.Inbox
---@field name string
---@field closed boolean
---@field close_code integer|nil of a WebSocket; 1006: it ended without a close frame
---@field close_reason string|nil
---@field take fun(self, event?: string, channel?: string): moonwire.testing.Message the first that came; raises if none did
---@field take_all fun(self): moonwire.testing.Message[]
---@field expect_nothing fun(self, event?: string, channel?: string) raises if something came that was not taken
---@field expect_closed fun(self, code?: integer): string|nil raises unless the connection has ended; returns the reason
---@field stop_reading fun(self) as on a bad network
---@field start_reading fun(self)

---@class moonwire.testing.Message
---@field event string
---@field channel string|nil
---@field id string|nil nil: it is volatile
---@field data any
---@field binary string|nil
---@field from string|nil

-- ---- Clients of channels --------------------------------------------------------------------------------------------------

---@class moonwire.testing.Client: moonwire.testing.Inbox
---@field transport "websocket"|"sse"|"poll"
---@field id string|nil for server.app:client(id)
---@field last_id string|nil the newest id that it has seen
---@field recovered boolean|nil whether it has received all it missed; nil: it did not return
---@field channels table<string, { data: any, recovered: boolean|nil, last_id: string }> those it is in
local Client = {}

---@param channel string
---@param given? { since: string?, within: number? }
---@return table acknowledgement
function Client:subscribe(channel, given) end

---@param channel string
---@param given? { since: string?, within: number? }
---@return table|nil acknowledgement
---@return string|nil reason
---@return string|nil code
function Client:try_subscribe(channel, given) end

---@param channel string
---@param given? { within: number? }
function Client:unsubscribe(channel, given) end

---@param channel string
---@param given? { within: number? }
---@return true|nil
---@return string|nil reason
---@return string|nil code
function Client:try_unsubscribe(channel, given) end

---@class moonwire.testing.SendOptions
---@field binary? boolean data is a string of bytes
---@field idempotency_key? string
---@field within? number

--- Sends, and returns the acknowledgement; raises if it is refused.
---@param channel string
---@param event string|nil
---@param data any
---@param given? moonwire.testing.SendOptions
---@return any acknowledgement
function Client:send(channel, event, data, given) end

---@param channel string
---@param event string|nil
---@param data any
---@param given? moonwire.testing.SendOptions
---@return any acknowledgement
---@return string|nil reason
---@return string|nil code
function Client:try_send(channel, event, data, given) end

--- As try_send, without waiting.
---@param channel string
---@param event string|nil
---@param data any
---@param given? moonwire.testing.SendOptions
---@return moonwire.testing.Pending
function Client:start_send(channel, event, data, given) end

---@param channel string
---@param given? { since: string?, before: string?, limit: integer?, within: number? }
---@return table[] messages
---@return boolean more
function Client:history(channel, given) end

---@param channel string
---@param given? { since: string?, before: string?, limit: integer?, within: number? }
---@return table[]|nil messages
---@return boolean|string more
---@return string|nil code
function Client:try_history(channel, given) end

--- Shows a newer token.
---@param token string
---@param given? { within: number? }
function Client:renew(token, given) end

---@param token string
---@param given? { within: number? }
---@return table|nil
---@return string|nil reason
---@return string|nil code
function Client:try_renew(token, given) end

--- The members of a channel with presence, as the client knows them.
---@param channel string
---@return table<string, any> members the info of each, by user id
---@return integer count
function Client:members(channel) end

--- Ends the connection without a word.
function Client:disconnect() end

--- Closes the connection, a WebSocket by a close frame.
---@param code? integer
---@param reason? string
function Client:close(code, reason) end

--- Connects again, and continues after what it has received.
---@param given? { token: string?, within: number? }
---@return moonwire.testing.Client
function Client:return_with_last_id(given) end

---@param given? { token: string?, within: number? }
---@return moonwire.testing.Client|nil
---@return string|nil reason
---@return string|nil code
---@return integer|nil status
function Client:try_return_with_last_id(given) end

-- ---- Clients of raw streams and WebSockets --------------------------------------------------------------------------------

--- Messages have `event`, `data` as text, and `id`.
---@class moonwire.testing.Stream: moonwire.testing.Inbox
---@field last_id string
---@field retry number|nil seconds, as the stream said
---@field status integer of the response
---@field headers table<string, string> of the response
local Stream = {}

function Stream:disconnect() end

--- Connects again with Last-Event-ID.
---@return moonwire.testing.Stream
function Stream:return_with_last_id() end

---@class moonwire.testing.Socket: moonwire.testing.Inbox
---@field protocol string|nil
local Socket = {}

--- Takes the first message.
---@return string message
---@return boolean is_binary
function Socket:take() end

---@param text string
function Socket:send(text) end

---@param bytes string
function Socket:send_binary(bytes) end

--- Closes by a close frame.
---@param code? integer
---@param reason? string
function Socket:close(code, reason) end

--- Ends the connection without a close frame.
function Socket:disconnect() end

return testing
