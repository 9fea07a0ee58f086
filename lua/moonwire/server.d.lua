---@meta moonwire.core
--- The C half of moonwire that its Lua files use. Scripts use what is in core.d.lua.

-- luacheck: ignore 2
---@class moonwire.core
---@field json moonwire.Json
---@field version string
---@field token table the functions of moonwire.token and its verifiers: new, verify, sign, now
---@field crypto table the functions of moonwire.crypto, without checks of their arguments
---@field client_methods table the methods of clients, which client.lua puts into it
---@field stream_methods table the methods of raw streams, to which stream.lua adds its own
local core = {}

--- moonwire.sleep: waits, while other handlers run. Only in handlers and other tasks.
---@param seconds number
---@return true|nil
---@return string|nil why "closed" or "timeout": no client waits for this handler any more
function core.sleep(seconds) end

--- moonwire.wait: waits until a descriptor can be read or written, or has failed or ended.
---@param descriptor integer|table|userdata a number, or an object with the method getfd
---@param way "r"|"w"
---@param seconds? number
---@return true|nil
---@return string|nil why "timeout" or "closed"
function core.wait(descriptor, way, seconds) end

---@class moonwire.Signal
local Signal = {}

--- An object that tasks wait for, and that anything fires.
---@param count? integer how often it must be fired; default 1
---@return moonwire.Signal
function core.signal(count) end

---@param seconds? number
---@return true|nil
---@return string|nil why "timeout" or "closed"
function Signal:wait(seconds) end

---@return boolean counts false: it had been fired as often as it must be
function Signal:fire() end

--- A connection to another server, for moonwire.socket. Belongs to the task that opened it. Its
--- methods are described in csrc/lua/objects/lua_connection.c.
---@param host string
---@param port integer|nil nil: host is the path of a unix socket
---@param seconds number|nil nil: without limit
---@return userdata|nil
---@return string|nil message
function core.connect(host, port, seconds) end

--- moonwire.timeout: calls fn, and returns what it returns. When the time is up, its wait returns nil
--- and "timeout". If it waits again, it is ended, and nil and "timeout" are returned.
---@param seconds number
---@param fn fun(...): ...
---@return any ...
function core.timeout(seconds, fn, ...) end

---@class moonwire.Task
local Task = {}

--- Runs fn as a task of the app whose task runs. Its end fires the signal, whatever ended it: also
--- if there was not enough memory to begin.
---@overload fun(fn: fun(...), ...): moonwire.Task|nil, string|nil, string|nil
---@param signal moonwire.Signal
---@param fn fun(...)
---@return moonwire.Task|nil
---@return string|nil message
---@return string|nil code
function core.child(signal, fn, ...) end

--- Its wait, or the next one, returns nil and the reason. The one after that ends it.
---@param why "closed"|"timeout"
function Task:cancel(why) end

--- Stores what a handler changed inside client.data. What is not plain data is forgotten, with all
--- other changes, and nil and a message are returned.
---@param client moonwire.Client
---@return true|nil
---@return string|nil message
function core.keep(client) end

--- What a symbolic link leads to in the end; any other path is returned as it is.
---@param path string
---@return string
function core.follow_link(path) end

--- Returns what is wrong with an address to listen on, or nil.
---@param address string
---@return string|nil message
function core.check_address(address) end

--- The id of a user whose `id` is that value; false if it is none.
---@param value any
---@return string|false
function core.user_id(value) end

---@param value any
---@return boolean
function core.is_client(value) end

---@param value any
---@return boolean
function core.is_stream(value) end

--- Starts a raw stream. Returns true; or nil, a message, and "misuse" or "closed".
---@param stream moonwire.Stream
---@param status integer
---@param fields string[] name, value, name, value
---@return true|nil
---@return string|nil message
---@return string|nil code
function core.stream_start(stream, status, fields) end

--- Follows a channel, and waits. Returns true; or nil, a message, and "misuse", "closed", "timeout",
--- or "unavailable".
---@param stream moonwire.Stream
---@param channel string
---@param since string|nil
---@param until_final boolean
---@return true|nil
---@return string|nil message
---@return string|nil code
function core.stream_follow(stream, channel, since, until_final) end

--- This and the next three return true; or nil, a message, and "misuse", "closed", "too_large" or
--- "unavailable".
---@param client moonwire.Client
---@param channel string|nil
---@param event string|nil
---@param data any
---@param is_binary boolean|nil
---@return true|nil, string|nil, string|nil
function core.send(client, channel, event, data, is_binary) end

---@param client moonwire.Client
---@param code integer
---@param reason string
---@return true|nil, string|nil, string|nil
function core.close(client, code, reason) end

---@param client moonwire.Client
---@param channel string
---@return true|nil, string|nil, string|nil
function core.subscribe(client, channel) end

---@param client moonwire.Client
---@param channel string
---@param code string
---@param reason string
---@return true|nil, string|nil, string|nil
function core.unsubscribe(client, channel, code, reason) end

---@param level "debug"|"info"|"warning"|"error"
---@param text string
function core.log(level, text) end

--- Writes a line that may repeat often: at most one a second for each place, with a count of the
--- rest.
---@param level "debug"|"info"|"warning"|"error"
---@param place string "app.lua:7"
---@param text string
function core.log_error(level, place, text) end

--- Sets the directory of moonwire's own files, in which an error of the script cannot have its
--- place.
---@param directory string as in the sources of debug.getinfo
function core.own_directory(directory) end

--- Lines of this level and above go to standard error.
---@param level "debug"|"info"|"warning"|"error"
function core.log_level(level) end

--- Returns whether a handler is running, or the event loop.
---@return boolean
function core.busy() end

--- Returns how many threads can run at the same time: a good number of workers, at most 64.
---@return integer
function core.cores() end

--- Starts a request to another server, for moonwire.http.
---@param options table see http.lua
---@return moonwire.CoreFetch|nil
---@return string|nil message
---@return string|nil code
function core.fetch(options) end

---@class moonwire.CoreFetch
local CoreFetch = {}

--- Waits for the head of the answer.
---@param seconds? number
---@return integer|nil status
---@return table<string, string>|string headers or message
---@return string|nil code
function CoreFetch:head(seconds) end

--- Waits for a part of the body.
---@param seconds? number
---@return string|nil bytes nil at the end
---@return string|nil message
---@return string|nil code nil at the end
function CoreFetch:read(seconds) end

--- Ends the request. Also when a variable with <close> ends.
function CoreFetch:close() end

--- A pool of threads, with Lua states of their own, for moonwire.work.
---@param name string
---@param threads integer 1 to 64
---@param queue integer
---@param seconds number for each call, waiting for a thread included
---@return moonwire.CorePool
function core.pool(name, threads, queue, seconds) end

---@class moonwire.CorePool
local CorePool = {}

--- Calls a function on a thread, and waits. Raises what it raises.
---@param name string for the log
---@param is_code boolean
---@param target string a module's name; or code of string.dump
---@param name_or_source string the function in the module; or the name of the chunk
---@param ... any plain data
---@return any ... results; or nil, message, code
function CorePool:run(name, is_code, target, name_or_source, ...) end

--- Objects of the library that are alive in the process; see mw_live.
---@param kind string
---@return integer
function core.live(kind) end

--- Returns the fields of a form, { name =, value =, filename =, type = } each, or nil and what is
--- wrong. Only files have a filename.
---@param content_type string
---@param body string
---@return table[]|nil
---@return string|nil message
function core.form(content_type, body) end

--- Calls the function of moonwire.serve in a new Lua state, and returns its exit status.
---@param given table plain data
---@return integer
function core.serve(given) end

--- A server that is being defined.
---@param settings table
---@param handlers table<string, function> see handlers.lua
---@return moonwire.Server
function core.server(settings, handlers) end

---@class moonwire.Server
local Server = {}

--- The definitions return the number that core assigned, or nil and what is wrong.
---@param pattern string
---@param given table
---@return integer|nil
---@return string|nil message
function Server:channel(pattern, given) end

---@param method string
---@param pattern string
---@return integer|nil
---@return string|nil message
function Server:route(method, pattern) end

---@param method string
---@param pattern string
---@return integer|nil
---@return string|nil message
function Server:event_stream(method, pattern) end

---@param pattern string
---@param given table protocols, origins, deflate, and the limits
---@return integer|nil
---@return string|nil message
function Server:websocket(pattern, given) end

---@param path string
---@param directory string
---@param given { fallback: string?, cache: integer?, immutable: boolean?, fields: string[]? }
---@return integer|nil
---@return string|nil message
function Server:static(path, directory, given) end

--- The route for requests that nothing else answers.
---@return integer|nil
---@return string|nil message
function Server:not_found() end

--- Lets pages of other sites send requests to a route with the user's cookies, or refuses origins
--- that are not allowed.
---@param route integer
---@param to "cross_site"|"own_origins"
function Server:open_to(route, to) end

--- Where the script defines a handler, for the log.
---@param kind integer the assigned number; -1 for handlers of the app
---@param handler string its name in handlers.lua
---@param event string "" unless it is the handler of an event
---@param where string "app.lua:7"
function Server:place(kind, handler, event, where) end

---@param proxy string "10.0.0.0/8", "192.0.2.1", or "unix"
---@return integer|nil
---@return string|nil message
function Server:trust(proxy) end

---@param origin string
---@return integer|nil
---@return string|nil message
function Server:origin(origin) end

--- Returns the number of the kind whose pattern matches the name, and the captures.
---@param name string
---@return integer|nil
---@return table<string, string>|string
function Server:match(name) end

---@param workers integer|nil nil: one
---@return true|nil
---@return string|nil message
function Server:start(workers) end

---@param address string
---@param is_private boolean
---@param unix_mode integer|nil
---@param proxy_protocol boolean|nil
---@return true|nil
---@return string|nil message
function Server:listen(address, is_private, unix_mode, proxy_protocol) end

---@param i integer
---@return string|nil
function Server:address(i) end

--- Until it was stopped.
function Server:run() end

---@return boolean alive false: call finish
function Server:step() end

--- Frees it after it has stopped. Handlers that wait end. Has no effect after run.
function Server:finish() end

---@return integer
function Server:fd() end

---@return number|nil
function Server:timeout() end

function Server:stop() end

--- SIGINT and SIGTERM stop it, the second of them ends the process. SIGHUP is ignored. Until the
--- server has ended.
---@return true|nil
---@return string|nil message
function Server:stop_on_signals() end

--- The next six are for moonwire.testing. From the first call on, time moves only by this;
--- the loop is not turned.
---@param seconds number
function Server:advance(seconds) end

--- Turns the loop until nothing is left to do at this moment; "busy": it does not come to rest.
---@return "idle"|"busy"|"stopped"
function Server:settle() end

--- Seconds since 1970.
---@return number
function Server:time() end

--- Errors of handlers are kept from here on, and not logged.
function Server:keep_faults() end

--- The errors that were kept, and how many more there were; nil if there are none. Also after the
--- end.
---@return string[]|nil
---@return integer|nil lost
function Server:take_faults() end

---@return moonwire.Memory|nil
---@return string|nil message
function Server:connect_memory() end

--- The peer's side of a connection in memory.
---@class moonwire.Memory
local Memory = {}

---@param bytes string
---@return true|nil
---@return string|nil message
function Memory:write(bytes) end

--- What the server has written, or nil.
---@return string|nil
function Memory:read() end

--- The server writes nothing more, and all of it was read.
---@return boolean
function Memory:ended() end

function Memory:close() end

---@param name string
---@param event string|nil
---@param data any
---@param binary boolean|nil
---@param volatile boolean|nil
---@param except moonwire.Client|nil
---@param key string|nil
---@param final boolean|nil
---@param is_blind boolean|nil does not wait for a broker
---@return string|true|nil id
---@return string|nil message
---@return string|nil code
function Server:publish(name, event, data, binary, volatile, except, key, final, is_blind) end

--- Publishes items with these names as fields, and returns results in their order, and how many are
--- errors.
---@param items table[]
---@param is_blind boolean
---@return table[]|nil
---@return integer|string
---@return string|nil code
function Server:publish_all(items, is_blind) end

---@return boolean
function Server:has_broker() end

--- Simulates a broker: from now on, publishes, joins, and reads of a history by clients wait.
function Server:test_broker() end

--- Returns what is wrong with the options of moonwire.redis, or nothing.
---@param given table
---@return string|nil
function core.check_broker(given) end

--- Returns the kept messages, { id =, event =, raw = or binary =, from =, key =, age = } each, and
--- whether there are others; or nil, a message, and a code: "misuse" if an id is wrong.
---@param name string
---@param since string|nil
---@param before string|nil
---@param limit integer|nil
---@return table[]|nil
---@return boolean|string
---@return string|nil code
function Server:history(name, since, before, limit) end

---@return table<string, integer|table<string, integer>>
function Server:stats() end

---@param user string JSON
---@param seconds number
---@return string|nil ticket
---@return string|nil message
---@return string|nil code "misuse", "too_large", or "unavailable"
function Server:ticket(user, seconds) end

---@param user_id string
---@param reason string|nil
---@return integer
function Server:close_user(user_id, reason) end

---@param user_id string
---@param channel string|nil
---@param event string|nil
---@param data any
---@param is_binary boolean|nil
---@return integer|nil
---@return string|nil message
---@return string|nil code "misuse", "too_large", "unavailable", or "closed"
function Server:send_user(user_id, channel, event, data, is_binary) end

--- Returns a new number each time.
---@return integer
function Server:lease_holder() end

--- Waits for the broker; without one, every lease is the server's.
---@param name string
---@param holder integer
---@param seconds number
---@return boolean|nil is_held false: by another holder
---@return number|string left for so many seconds; or a message
---@return string|nil code "closed" or "unavailable"
function Server:take_lease(name, holder, seconds) end

---@param name string
---@param holder integer
---@param seconds number
---@return boolean|nil is_held
---@return number|string left
---@return string|nil code
function Server:keep_lease(name, holder, seconds) end

--- Does not wait, and never fails.
---@param name string
---@param holder integer
---@param seconds number for which no holder can take it
function Server:end_lease(name, holder, seconds) end

---@param user_id string
---@param channel string
---@param code string
---@param reason string
---@return true|nil
---@return string|nil message
---@return string|nil code "misuse", "unavailable", or "closed"
function Server:kick_user(user_id, channel, code, reason) end

---@param name string
---@return integer
---@return boolean exists
function Server:count(name) end

--- As channel:count; "misuse" if this code cannot wait for the broker.
---@param name string
---@return integer|nil
---@return string|nil message
---@return string|nil code
function Server:count_all(name) end

---@param name string
---@param after string|nil a user's id; nil: from the first member on
---@param limit integer|nil nil: all
---@return table<string, { info: any, connections: integer }>|nil
---@return integer|string count or a message
---@return string|nil after where the next page begins; nil: there is none. Or a code
function Server:presence(name, after, limit) end

---@param id string
---@return moonwire.Client|nil
function Server:client(id) end

--- Returns the connected clients.
---@return moonwire.Client[]
function Server:clients() end

---@param delay number
---@param again number 0: once
---@param fn fun()
---@param where? string where the script defines it, for the log
---@return { cancel: fun(self: table) }
function Server:timer(delay, again, fn, where) end

---@param fn function
---@return true|nil
---@return string|nil message
---@return string|nil code
function Server:spawn(fn, ...) end

return core
