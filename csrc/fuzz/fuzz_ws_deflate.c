/* Deflated messages inflate to the same messages. Inflating does not depend on how input and output
 * are split. */
#include "codec/ws/ws_deflate.h"
#include "fuzz/fuzz.h"

enum { OUT_MAX = 1 << 16 };

/* Inflates one message, in pieces of `in` bytes, into rooms of `room` bytes, up to OUT_MAX
 * bytes. */
static enum ws_inflate inflate(struct ws_inflater *inflater, struct bytes payload, size_t in, size_t room, struct buffer *out) {
  struct bytes piece = {NULL, 0};
  bool finishing = false;
  enum ws_inflate status = WS_INFLATE_MORE;
  while (out->len < OUT_MAX) {
    size_t len = room < OUT_MAX - out->len ? room : OUT_MAX - out->len;
    char *end = buffer_reserve_within(out, len, OUT_MAX);
    must(end);
    if (!finishing && piece.len == 0) {
      piece = bytes_of(payload.ptr, payload.len < in ? payload.len : in);
      payload = bytes_of(payload.ptr + piece.len, payload.len - piece.len);
    }
    size_t written = len;
    status = finishing ? ws_inflater_finish(inflater, end, &written) : ws_inflater_feed(inflater, &piece, end, &written);
    must(written <= len && (status != WS_INFLATE_FULL || written == len) && status != WS_INFLATE_MEMORY);
    out->len += written;
    if (status == WS_INFLATE_BROKEN || (status == WS_INFLATE_MORE && finishing)) break;
    if (status == WS_INFLATE_MORE) {
      must(piece.len == 0);
      finishing = payload.len == 0;
    }
  }
  return status;
}

static void there_and_back(struct bytes input, unsigned flags) {
  bool takeover = flags & 1;
  struct ws_deflater *deflater = ws_deflater_new((enum ws_window)((flags >> 1) % WS_WINDOW_COUNT), takeover);
  struct ws_inflater *inflater = ws_inflater_new();
  must(deflater && inflater);
  while (input.len > 0) { /* each line is a message, in two parts */
    size_t len = bytes_find(input, '\n');
    struct bytes message = bytes_of(input.ptr, len), parts[2] = {{message.ptr, len / 3}, {message.ptr + len / 3, len - len / 3}};
    struct buffer payload = {0}, out = {0};
    if (len >= OUT_MAX) break;
    must(ws_deflater_message(deflater, parts, 2, &payload));
    if (!takeover) ws_inflater_reset(inflater);
    must(inflate(inflater, buffer_bytes(&payload), 1 + flags % 17, 1 + flags % 29, &out) == WS_INFLATE_MORE);
    must(bytes_equal(buffer_bytes(&out), message));
    buffer_deinit(&payload);
    buffer_deinit(&out);
    size_t taken = len < input.len ? len + 1 : len;
    input = bytes_of(input.ptr + taken, input.len - taken);
  }
  ws_inflater_free(inflater);
  ws_deflater_free(deflater);
}

static void cuts_do_not_matter(struct bytes input, unsigned flags) {
  static const size_t cuts[][2] = {{SIZE_MAX, OUT_MAX}, {1, OUT_MAX}, {SIZE_MAX, 1}, {1, 1}, {3, 7}};
  size_t picked[] = {0, 1 + flags % 4};
  struct buffer out[2] = {{0}};
  enum ws_inflate status[2];
  for (int i = 0; i < 2; i++) {
    struct ws_inflater *inflater = ws_inflater_new();
    must(inflater);
    status[i] = inflate(inflater, input, cuts[picked[i]][0], cuts[picked[i]][1], &out[i]);
    ws_inflater_free(inflater);
  }
  must(bytes_equal(buffer_bytes(&out[0]), buffer_bytes(&out[1])));
  must(status[0] == status[1] || out[0].len == OUT_MAX); /* the rest is not compared then */
  buffer_deinit(&out[0]);
  buffer_deinit(&out[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  struct bytes input = fuzz_bytes(data + 1, size - 1);
  there_and_back(input, data[0]);
  cuts_do_not_matter(input, data[0]);
  return 0;
}
