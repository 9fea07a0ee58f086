/* The answer is the one that another implementation finds for the same offers. */
#include "base/buffer.h"
#include "codec/ws/ws_extension.h"
#include "fuzz/fuzz.h"

enum { FIELDS_MAX = 8, PARAMETERS = 4 };

/* Each line is a field. */
static size_t read_fields(struct bytes input, struct http_field *fields) {
  size_t count = 0;
  while (input.len > 0 && count < FIELDS_MAX) {
    size_t len = bytes_find(input, '\n');
    fields[count++] = (struct http_field){BYTES("Sec-WebSocket-Extensions"), bytes_of(input.ptr, len)};
    size_t taken = len < input.len ? len + 1 : len;
    input = bytes_of(input.ptr + taken, input.len - taken);
  }
  return count;
}

/* ---- The other implementation, for well-formed fields ---------------------------------------- */

/* Quotes contain only tokens, so that quotes and spaces can be removed. */
static void strip(struct buffer *out, const struct http_field *fields, size_t count) {
  for (size_t i = 0; i < count; i++) {
    for (size_t at = 0; at < fields[i].value.len; at++) {
      char c = fields[i].value.ptr[at];
      if (bytes_find(BYTES(" \t\"\\"), c) == 4) buffer_append_char(out, c);
    }
    buffer_append_char(out, ',');
  }
}

static struct bytes cut(struct bytes *rest, char c) {
  size_t len = bytes_find(*rest, c), taken = len < rest->len ? len + 1 : len;
  struct bytes part = bytes_of(rest->ptr, len);
  *rest = bytes_of(rest->ptr + taken, rest->len - taken);
  return part;
}

/* Returns -1 if it is not a parameter of permessage-deflate. */
static int find_parameter(struct bytes name) {
  static const char *const names[PARAMETERS] = {"server_no_context_takeover", "client_no_context_takeover",
                                                "client_max_window_bits", "server_max_window_bits"};
  for (int i = 0; i < PARAMETERS; i++) {
    if (bytes_equal(name, bytes_string(names[i]))) return i;
  }
  return -1;
}

/* Reads the value of each parameter: 0 if it is missing, 1 if it has no value. Returns false if the
 * offer is not acceptable. */
static bool read_offer(struct bytes offer, unsigned values[PARAMETERS]) {
  static const char *const bits[] = {"8", "9", "10", "11", "12", "13", "14", "15"};
  memset(values, 0, PARAMETERS * sizeof *values);
  if (!bytes_equal(cut(&offer, ';'), BYTES("permessage-deflate"))) return false;
  while (offer.len > 0) {
    struct bytes value = cut(&offer, ';'), name = cut(&value, '=');
    int i = find_parameter(name);
    if (i < 0 || values[i] > 0) return false;
    for (unsigned n = 0; n < 8; n++) {
      if (bytes_equal(value, bytes_string(bits[n]))) values[i] = n + 8;
    }
    if (values[i] == 0 && value.len > 0) return false;
    if (values[i] == 0) values[i] = 1;
    if ((i < 2 && values[i] != 1) || (i == 3 && values[i] == 1)) return false;
  }
  return true;
}

static void write_answer(struct buffer *out, struct bytes offers, const struct ws_deflate_policy *policy) {
  unsigned values[PARAMETERS];
  bool found = false;
  while (!found && offers.len > 0) found = read_offer(cut(&offers, ','), values);
  if (!found) return;
  unsigned most = values[3] > 0 ? values[3] : 15, best = 15;
  if (most < 15 || policy->window == WS_WINDOW_12) best = 12;
  if (most < 12 || policy->window == WS_WINDOW_9) best = 9;
  if (most < 9) best = 8;
  buffer_append_string(out, "permessage-deflate");
  if (!policy->server_takeover || values[0] > 0) buffer_append_string(out, "; server_no_context_takeover");
  if (!policy->client_takeover || values[1] > 0) buffer_append_string(out, "; client_no_context_takeover");
  if (values[3] > 0 || best < 15) buffer_append_format(out, "; server_max_window_bits=%u", best);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static struct bytes agree(const struct http_field *fields, size_t count, const struct ws_deflate_policy *policy,
                          struct ws_deflate_terms *terms, char out[WS_EXTENSION_MAX]) {
  struct http_head head = {.fields = fields, .field_count = count};
  struct bytes answer = ws_extension_agree(&head, policy, terms, out);
  must(answer.len <= WS_EXTENSION_MAX && terms->agreed == (answer.len > 0));
  must(answer.len == 0 || ws_extension_valid(&head));
  return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  struct ws_deflate_policy policy = {data[0] & 1, data[0] & 2, (enum ws_window)((data[0] >> 2) % WS_WINDOW_COUNT)};
  struct http_field fields[FIELDS_MAX];
  size_t count = read_fields(fuzz_bytes(data + 1, size - 1), fields);
  struct ws_deflate_terms terms, again;
  char out[WS_EXTENSION_MAX], out_again[WS_EXTENSION_MAX];
  struct bytes answer = agree(fields, count, &policy, &terms, out);

  struct http_head head = {.fields = fields, .field_count = count};
  if (ws_extension_valid(&head)) {
    struct buffer offers = {0}, expected = {0};
    strip(&offers, fields, count);
    write_answer(&expected, buffer_bytes(&offers), &policy);
    must(bytes_equal(answer, buffer_bytes(&expected)));
    buffer_deinit(&offers);
    buffer_deinit(&expected);
  }
  if (answer.len == 0) return 0;
  must(policy.server_takeover || !terms.server_takeover);
  must(policy.client_takeover || !terms.client_takeover);
  must(terms.window >= policy.window && terms.window < WS_WINDOW_COUNT);
  /* The answer, used as an offer, is answered with the same. */
  struct http_field field = {BYTES("sec-websocket-extensions"), answer};
  must(bytes_equal(agree(&field, 1, &policy, &again, out_again), answer));
  must(again.server_takeover == terms.server_takeover && again.client_takeover == terms.client_takeover);
  must(again.window == terms.window);
  return 0;
}
