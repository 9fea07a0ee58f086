#include "test/support/told.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "hub/id.h"
#include "test/support.h"

enum { DIGITS = ID_LEN - EPOCH_LEN - 1 };

static void note(struct told_peer *told, const char *word, size_t len) {
  size_t at = strlen(told->text);
  assert_true(at + len + 2 < sizeof told->text);
  snprintf(told->text + at, sizeof told->text - at, "%.*s ", (int)len, word);
}

/* Returns the length of a string such as "a1" with its quotes, or 0. */
static size_t message_at(const char *text, size_t len) {
  if (len < 4 || text[0] != '"' || !islower((unsigned char)text[1])) return 0;
  size_t i = 2;
  while (i < len && isdigit((unsigned char)text[i])) i++;
  return i > 2 && i < len && text[i] == '"' ? i + 1 : 0;
}

static bool id_at(const char *text, size_t len) {
  if (len < ID_LEN || text[EPOCH_LEN] != '-') return false;
  for (size_t i = 0; i < ID_LEN; i++) {
    bool fits = i < EPOCH_LEN ? isalnum((unsigned char)text[i]) : i == EPOCH_LEN || isdigit((unsigned char)text[i]);
    if (!fits) return false;
  }
  return true;
}

const char *told_fetch(struct told_peer *told, struct memory_peer *peer) {
  static const char own[] = "moonwire:";
  struct bytes in = memory_peer_fetch(peer);
  told->text[0] = '\0';
  for (size_t i = 0; i < in.len; i++) {
    const char *at = in.ptr + i;
    size_t left = in.len - i, len = message_at(at, left);
    if (len > 0) {
      note(told, at + 1, len - 2);
      i += len - 2;
    } else if (left > sizeof own && memcmp(at, own, sizeof own - 1) == 0) {
      len = 0;
      while (sizeof own - 1 + len < left && islower((unsigned char)at[sizeof own - 1 + len])) len++;
      if (len > 0) note(told, at + sizeof own - 1, len);
    } else if (id_at(at, left)) {
      snprintf(told->id, sizeof told->id, "%.*s", (int)ID_LEN, at);
      i += ID_LEN - 1;
    }
  }
  buffer_clear(&peer->in);
  return told->text;
}

void told_publish(struct mw_server *server, const char *channel, const char *data, size_t padding, struct mw_publish how) {
  size_t size = strlen(data) + padding + 16;
  char *text = malloc(size);
  assert_non_null(text);
  int len = snprintf(text, size, "[\"%s\",\"", data);
  memset(text + len, '.', padding);
  memcpy(text + len + padding, "\"]", 2);
  how.channel = (struct mw_bytes){channel, strlen(channel)};
  how.data = (struct mw_bytes){text, (size_t)len + padding + 2};
  assert_int_equal(mw_publish(server, &how, NULL, NULL), 0);
  free(text);
  server_settle(server);
}
