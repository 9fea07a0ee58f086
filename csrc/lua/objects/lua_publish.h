/* Publishes, and sends to one client. */
#ifndef MOONWIRE_LUA_PUBLISH_H
#define MOONWIRE_LUA_PUBLISH_H

#include "lua/base/host.h"

BINDING_BEGIN

/* Pushes the result of a call of the core: true; or nil, a message, and a code: "misuse" (an error
 * of the script), "closed", "too_large", "unreplicated", or "unavailable". Returns the number of values. */
int publish_outcome(lua_State *L, int status, const struct mw_error *error);

/* The same, for a task that was cancelled while it waited for the outcome. */
int publish_cancelled(lua_State *L, const char *cancelled);
/* Returns the message of a failure. */
const char *publish_message(int status, const struct mw_error *error);
/* Returns the code of a status. */
const char *publish_code(int status);
/* Reads event, data, and whether the data is bytes, from `index` on. Pushes one value that owns the
 * text. Returns false if JSON cannot hold the data: the value is then a message. */
bool publish_read_content(lua_State *L, int index, struct mw_publish *out);
/* Frees the text, whose owner is at the top. */
void publish_free_content(lua_State *L, const struct mw_publish *publish);
/* Returns the text for a status that a broker reported later. */
const char *publish_late_text(int status);
/* Logs, at a limited rate, that a message whose outcome nobody waits for was not published. */
void publish_log_lost(const char *channel, int status);
/* Returns whether this code would have to wait for a broker, and cannot. False for a cancelled task,
 * because it does not wait. */
bool publish_cannot_wait(lua_State *L, const struct host *host);
#define PUBLISH_OBSTACLE                                                                                                         \
  "a broker orders the messages, and this code cannot wait for it: it is not in a handler, or inside a function that cannot "    \
  "be suspended; "
#define PUBLISH_ADVICE "set wait = false, or use app:spawn"

/* server:publish(channel, event, data, is_binary, is_volatile, except, key, is_final, is_blind):
 * returns the id, true if volatile, or as above. While the outcome is pending, a handler waits; if
 * it is_blind, or cancelled, true is returned immediately. */
int publish_to_channel(lua_State *L);
/* core.send(client, channel, event, data, is_binary): returns as publish_outcome. */
int publish_to_client(lua_State *L);

BINDING_END

#endif
