#include "codec/ws/ws_handshake.h"

#include <assert.h>
#include <openssl/evp.h>

#include "codec/http/http_head.h"
#include "codec/ws/ws_extension.h"

enum {
  KEY_LEN = 24, /* 16 bytes in base64 */
  SHA1_LEN = 20,
};

static struct http_error ws_handshake_refuse(int status, const char *reason) {
  return (struct http_error){.status = status, .reason = reason};
}

/* ---- Checking -------------------------------------------------------------------------------- */

static bool is_base64(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* Returns true for 16 bytes in canonical base64: 21 characters, one for the last two bits, and
 * padding. */
static bool is_key(struct bytes key) {
  if (key.len != KEY_LEN || key.ptr[22] != '=' || key.ptr[23] != '=') return false;
  for (size_t i = 0; i < 21; i++) {
    if (!is_base64(key.ptr[i])) return false;
  }
  return bytes_find(BYTES("AQgw"), key.ptr[21]) < 4;
}

static bool offers_are_tokens(const struct http_head *head) {
  struct ws_offers cursor = {0};
  struct bytes protocol;
  while (ws_handshake_offer(head, &cursor, &protocol)) {
    if (!http_token_valid(protocol)) return false;
  }
  return true;
}

struct http_error ws_handshake_check(const struct http_head *head, struct bytes *key) {
  struct bytes key_name = BYTES("sec-websocket-key"), version_name = BYTES("sec-websocket-version");
  *key = bytes_of(NULL, 0);
  /* answered as a GET that offers nothing */
  bool is_head = bytes_equal(head->method, BYTES("HEAD"));
  if (!is_head && !bytes_equal(head->method, BYTES("GET")))
    return ws_handshake_refuse(405, "a WebSocket must be opened with GET");
  if (head->minor == 0) return ws_handshake_refuse(426, "a WebSocket needs HTTP/1.1 (a proxy must not forward it as HTTP/1.0)");
  if (is_head || !http_head_lists(head, BYTES("upgrade"), BYTES("websocket")))
    return ws_handshake_refuse(
        426,
        "this endpoint accepts only WebSocket: \"Upgrade: websocket\" is missing (a proxy must forward Upgrade and Connection)");
  if (!http_head_lists(head, BYTES("connection"), BYTES("upgrade")))
    return ws_handshake_refuse(400, "\"Connection: Upgrade\" is missing (a proxy must forward Upgrade and Connection)");
  if (!head->upgrade) return ws_handshake_refuse(400, "a WebSocket request must not have a body");
  if (http_head_count(head, version_name) > 1) return ws_handshake_refuse(400, "more than one Sec-WebSocket-Version header");
  if (!bytes_equal(http_head_field(head, version_name), BYTES("13")))
    return ws_handshake_refuse(426, "unsupported Sec-WebSocket-Version; use 13");
  if (http_head_count(head, key_name) == 0) return ws_handshake_refuse(400, "missing Sec-WebSocket-Key header");
  if (http_head_count(head, key_name) > 1) return ws_handshake_refuse(400, "more than one Sec-WebSocket-Key header");
  if (!is_key(http_head_field(head, key_name))) return ws_handshake_refuse(400, "Sec-WebSocket-Key must be 16 bytes in base64");
  if (!offers_are_tokens(head)) return ws_handshake_refuse(400, "malformed Sec-WebSocket-Protocol header");
  if (!ws_extension_valid(head)) return ws_handshake_refuse(400, "malformed Sec-WebSocket-Extensions header");
  *key = http_head_field(head, key_name);
  return ws_handshake_refuse(0, NULL);
}

size_t ws_handshake_fields(int status, const struct http_field **fields) {
  static const struct http_field methods[] = {{{"Allow", 5}, {"GET, HEAD, OPTIONS", 18}}};
  static const struct http_field upgrade[] = {
      {{"Upgrade", 7}, {"websocket", 9}}, {{"Connection", 10}, {"Upgrade", 7}}, {{"Sec-WebSocket-Version", 21}, {"13", 2}}};
  *fields = status == 405 ? methods : upgrade;
  return status == 405 ? sizeof methods / sizeof *methods : status == 426 ? sizeof upgrade / sizeof *upgrade : 0;
}

/* ---- Subprotocols ---------------------------------------------------------------------------- */

/* Returns the next item of the list that is not empty. */
static bool next_item(struct bytes *rest, struct bytes *item) {
  while (rest->len > 0) {
    size_t comma = bytes_find(*rest, ',');
    size_t taken = comma < rest->len ? comma + 1 : comma;
    *item = bytes_trim(bytes_of(rest->ptr, comma));
    *rest = bytes_of(rest->ptr + taken, rest->len - taken);
    if (item->len > 0) return true;
  }
  return false;
}

bool ws_handshake_offer(const struct http_head *head, struct ws_offers *cursor, struct bytes *protocol) {
  for (;;) {
    if (next_item(&cursor->rest, protocol)) return true;
    if (cursor->field_count == head->field_count) return false;
    const struct http_field *field = &head->fields[cursor->field_count++];
    if (bytes_equal_nocase(field->name, BYTES("sec-websocket-protocol"))) cursor->rest = field->value;
  }
}

/* ---- Accepting ------------------------------------------------------------------------------- */

bool ws_handshake_accept(char out[WS_ACCEPT_LEN + 1], struct bytes key) {
  assert(is_key(key));
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  char text[KEY_LEN + sizeof(guid) - 1];
  unsigned char hash[EVP_MAX_MD_SIZE];
  memcpy(text, key.ptr, KEY_LEN);
  memcpy(text + KEY_LEN, guid, sizeof(guid) - 1);
  if (!EVP_Digest(text, sizeof(text), hash, NULL, EVP_sha1(), NULL)) return false;
  return EVP_EncodeBlock((unsigned char *)out, hash, SHA1_LEN) == WS_ACCEPT_LEN;
}
