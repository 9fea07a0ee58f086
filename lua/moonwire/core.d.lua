---@meta
--- What scripts meet of the half of moonwire that is written in C. What the Lua files beside this one use of it is
--- in server.d.lua.

---@class moonwire.Client
---@field id string unguessable and unique
---@field user table|nil what authenticate returned, as plain data; nil: anonymous
---@field user_id string|number user.id, else user.sub, else id
---@field transport string "sse"
---@field remote string the peer's address without port; "unix" on a unix socket
---@field data table|nil plain data of the script's own, kept until the client has left its last channel; a handler's changes
--- inside the table are stored when it ends

---@class moonwire.Stream
---@field closed boolean
local Stream = {}

--- Sends an event; the first one begins the stream.
---@param event string|nil nil: "message"
---@param data any a string as it is, anything else as JSON
---@param given? { id: string?, retry: number? } retry in seconds
---@return true|nil
---@return string|nil message
---@return string|nil code
function Stream:send(event, data, given) end

--- Ends it after what was sent.
function Stream:close() end

--- Calls fn once when the stream is over.
---@param fn fun()
function Stream:on_close(fn) end

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
