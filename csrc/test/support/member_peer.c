#include "test/support/member_peer.h"

#include "test/support.h"

void member_peer_subscribe(struct memory_peer *peer, const char *channel) {
  char text[200];
  snprintf(text, sizeof text, "{\"subscribe\":\"%s\",\"ref\":1}", channel);
  memory_peer_frame(peer, WS_OPCODE_TEXT, bytes_string(text));
}

void member_peer_leave(struct memory_peer *peer, struct mw_server *server) {
  mw_memory_close(peer->memory);
  peer->memory = NULL;
  server_settle(server);
}

const char *member_peer_next(struct memory_peer *peer) {
  static char text[4096];
  enum ws_opcode opcode;
  struct bytes payload;
  if (!memory_peer_next_frame(peer, &opcode, &payload)) return "";
  assert_int_equal(opcode, WS_OPCODE_TEXT);
  assert_true(payload.len < sizeof text);
  const char *from = strstr(payload.ptr, "\"presence\":"), *data = strstr(payload.ptr, "\"data\":");
  if (!from) from = data && strstr(payload.ptr, "moonwire:presence") ? data : payload.ptr;
  if (from != payload.ptr) from = strchr(from, ':') + 1;
  snprintf(text, sizeof text, "%s", from);
  return text;
}

size_t members_of(struct mw_server *server, const char *channel) {
  return mw_channel_presence(server, channel, strlen(channel), NULL, NULL, NULL, NULL);
}
