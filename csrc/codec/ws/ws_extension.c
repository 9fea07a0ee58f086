#include "codec/ws/ws_extension.h"

#include "codec/http/http_head.h"

enum { BITS_MIN = 8, BITS_MAX = 15 };

static const uint8_t window_bits[WS_WINDOW_COUNT] = {[WS_WINDOW_15] = 15, [WS_WINDOW_12] = 12, [WS_WINDOW_9] = 9};

unsigned ws_window_bits(enum ws_window window) { return window_bits[window]; }

/* One parameter of an offer. Values that are used have at most two characters. */
struct parameter {
  struct bytes name;
  size_t value_len; /* without quotes and escapes; 0 if it has no value */
  char value[2];
};

/* One offer of permessage-deflate. Each parameter may occur once. */
struct offer {
  bool is_acceptable;
  bool server_no_takeover, client_no_takeover, client_window;
  unsigned server_window; /* bits; 0: the client accepts any */
};

/* ---- Grammar (RFC 6455 section 9.1) ---------------------------------------------------------- */

static void skip(struct bytes *rest, size_t len) { *rest = bytes_of(rest->ptr + len, rest->len - len); }

static bool take_char(struct bytes *rest, char c) {
  *rest = bytes_trim(*rest);
  if (rest->len == 0 || rest->ptr[0] != c) return false;
  skip(rest, 1);
  return true;
}

static bool is_token_char(char c) { return http_token_valid(bytes_of(&c, 1)); }

static bool take_token(struct bytes *rest, struct bytes *token) {
  *rest = bytes_trim(*rest);
  *token = bytes_of(rest->ptr, 0);
  while (token->len < rest->len && is_token_char(rest->ptr[token->len])) token->len++;
  skip(rest, token->len);
  return token->len > 0;
}

static void add_to_value(struct parameter *parameter, char c) {
  if (parameter->value_len < sizeof(parameter->value)) parameter->value[parameter->value_len] = c;
  parameter->value_len++;
}

/* Reads after the opening quote, up to the closing one. The quoted text must be a token too. */
static bool take_quoted(struct bytes *rest, struct parameter *parameter) {
  while (rest->len > 0) {
    bool is_escaped = rest->ptr[0] == '\\';
    if (rest->ptr[0] == '"') {
      skip(rest, 1);
      return parameter->value_len > 0;
    }
    skip(rest, is_escaped);
    if (rest->len == 0 || !is_token_char(rest->ptr[0])) return false;
    add_to_value(parameter, rest->ptr[0]);
    skip(rest, 1);
  }
  return false;
}

static bool take_parameter(struct bytes *rest, struct parameter *parameter) {
  struct bytes value;
  *parameter = (struct parameter){0};
  if (!take_token(rest, &parameter->name)) return false;
  if (!take_char(rest, '=')) return true;
  if (take_char(rest, '"')) return take_quoted(rest, parameter);
  if (!take_token(rest, &value)) return false;
  for (size_t i = 0; i < value.len; i++) add_to_value(parameter, value.ptr[i]);
  return true;
}

/* ---- Offers (RFC 7692 section 7.1) ----------------------------------------------------------- */

/* Returns 8 to 15, written without a leading zero, or 0 for everything else. */
static unsigned read_bits(const struct parameter *parameter) {
  uint64_t bits;
  if (parameter->value_len > sizeof(parameter->value) || parameter->value[0] == '0') return 0;
  if (!bytes_to_u64(bytes_of(parameter->value, parameter->value_len), &bits)) return 0;
  return bits >= BITS_MIN && bits <= BITS_MAX ? (unsigned)bits : 0;
}

/* Returns true the first time. */
static bool set_once(bool *flag) {
  bool is_first = !*flag;
  *flag = true;
  return is_first;
}

/* Returns false if the offer must be declined. */
static bool apply(struct offer *offer, const struct parameter *parameter) {
  bool has_value = parameter->value_len > 0;
  if (bytes_equal(parameter->name, BYTES("server_no_context_takeover")))
    return !has_value && set_once(&offer->server_no_takeover);
  if (bytes_equal(parameter->name, BYTES("client_no_context_takeover")))
    return !has_value && set_once(&offer->client_no_takeover);
  /* The client accepts a limit on its own window. The server never sets one, because it can inflate
   * server never asks for one. */
  if (bytes_equal(parameter->name, BYTES("client_max_window_bits")))
    return (!has_value || read_bits(parameter) > 0) && set_once(&offer->client_window);
  if (!bytes_equal(parameter->name, BYTES("server_max_window_bits")) || offer->server_window > 0) return false;
  offer->server_window = read_bits(parameter);
  return offer->server_window > 0;
}

/* Reads one item of the list. Returns false if it is malformed, whatever the offer is. */
static bool read_offer(struct bytes *rest, struct offer *offer) {
  struct bytes name;
  *offer = (struct offer){0};
  if (!take_token(rest, &name)) return false;
  offer->is_acceptable = bytes_equal(name, BYTES("permessage-deflate"));
  while (take_char(rest, ';')) {
    struct parameter parameter;
    if (!take_parameter(rest, &parameter)) return false;
    offer->is_acceptable = offer->is_acceptable && apply(offer, &parameter);
  }
  return rest->len == 0 || rest->ptr[0] == ',';
}

/* Walks the offers of all fields: start with a zeroed one. */
struct walk {
  size_t field_count; /* fields that were read */
  struct bytes rest;  /* the rest of the last of them */
  bool malformed;     /* which ends the walk */
};

static bool next_offer(const struct http_head *head, struct walk *walk, struct offer *offer) {
  for (;;) {
    while (take_char(&walk->rest, ',')) continue;
    if (walk->rest.len > 0) {
      walk->malformed = !read_offer(&walk->rest, offer);
      return !walk->malformed;
    }
    if (walk->field_count == head->field_count) return false;
    const struct http_field *field = &head->fields[walk->field_count++];
    if (bytes_equal_nocase(field->name, BYTES("sec-websocket-extensions"))) walk->rest = field->value;
  }
}

bool ws_extension_valid(const struct http_head *head) {
  struct walk walk = {0};
  struct offer offer;
  while (next_offer(head, &walk, &offer)) continue;
  return !walk.malformed;
}

/* ---- The answer ------------------------------------------------------------------------------ */

/* Returns the largest window that both sides accept. zlib's raw deflate has no window of 8 bits.
 * But with 9 bits, it never refers back further than 250 bytes, because it keeps 262 of its 512
 * bytes for lookahead. */
static enum ws_window choose_window(const struct ws_deflate_policy *policy, const struct offer *offer) {
  unsigned window = policy->window;
  while (window < WS_WINDOW_9 && offer->server_window > 0 && window_bits[window] > offer->server_window) window++;
  return (enum ws_window)window;
}

static struct bytes write_answer(char out[WS_EXTENSION_MAX], const struct ws_deflate_terms *terms, const struct offer *offer) {
  unsigned bits = window_bits[terms->window];
  if (offer->server_window == BITS_MIN) bits = BITS_MIN;
  /* A smaller window is announced even if the client did not ask, so that it can save memory. */
  bool tells_bits = offer->server_window > 0 || bits < BITS_MAX;
  char *end = out;
  const char *parts[] = {
      "permessage-deflate",
      terms->server_takeover ? "" : "; server_no_context_takeover",
      terms->client_takeover ? "" : "; client_no_context_takeover",
      tells_bits ? "; server_max_window_bits=" : "",
  };
  for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
    size_t len = strlen(parts[i]);
    memcpy(end, parts[i], len);
    end += len;
  }
  if (tells_bits && bits >= 10) *end++ = '1';
  if (tells_bits) *end++ = (char)('0' + bits % 10);
  return bytes_of(out, (size_t)(end - out));
}

struct bytes ws_extension_agree(const struct http_head *head, const struct ws_deflate_policy *policy,
                                struct ws_deflate_terms *terms, char out[WS_EXTENSION_MAX]) {
  struct walk walk = {0};
  struct offer offer = {0}, next;
  *terms = (struct ws_deflate_terms){0};
  while (policy && next_offer(head, &walk, &next)) {
    if (!offer.is_acceptable) offer = next;
  }
  if (!offer.is_acceptable || walk.malformed) return bytes_of(NULL, 0);
  *terms = (struct ws_deflate_terms){
      .agreed = true,
      .server_takeover = policy->server_takeover && !offer.server_no_takeover,
      .client_takeover = policy->client_takeover && !offer.client_no_takeover,
      .window = (uint8_t)choose_window(policy, &offer),
  };
  return write_answer(out, terms, &offer);
}
