#include "codec/ws/ws_deflate.h"

#include <assert.h>
#include <limits.h>
#define ZLIB_CONST
#include <zlib.h>

#include "base/memory.h"

/* A flush appends this and a frame omits it: length and complement of an empty block (RFC 7692
 * section 7.2.1). */
static const char tail[4] = {0, 0, (char)0xff, (char)0xff};

static void *allocate(void *opaque, uInt count, uInt size) {
  (void)opaque;
  return size > 0 && count > SIZE_MAX / size ? NULL : memory_alloc((size_t)count * size);
}

static void ws_deflate_release(void *opaque, void *ptr) {
  (void)opaque;
  memory_free(ptr);
}

static uInt clamp(size_t len) { return len < UINT_MAX ? (uInt)len : UINT_MAX; }

/* ---- Deflating ------------------------------------------------------------------------------- */

/* Measured with JSON: level 6 makes 16 KiB 6 % smaller than level 4, and 256 KiB 13 %, in up to
 * twice the time. Level 9 would take three times as long again for 2 to 4 %. A message is deflated
 * once and sent often, so 6.
 *
 * A higher memory level makes nothing smaller or faster by more than 1 %. With this one, 15 bits
 * take 166 KiB, 12 bits 38 KiB, and 9 bits 24 KiB. (zlib's default would take 262, 150, and 136,
 * and three times as long with 9 bits.) */
enum { LEVEL = 6 };
static const int memory_levels[WS_WINDOW_COUNT] = {[WS_WINDOW_15] = 6, [WS_WINDOW_12] = 5, [WS_WINDOW_9] = 5};

enum { ROOM_MAX = 1 << 16 }; /* bytes of output that are reserved before any is written */

struct ws_deflater {
  z_stream zlib;
  bool takeover;
};

struct ws_deflater *ws_deflater_new(enum ws_window window, bool takeover) {
  struct ws_deflater *deflater = memory_calloc(1, sizeof(*deflater));
  if (!deflater) return NULL;
  deflater->zlib.zalloc = allocate;
  deflater->zlib.zfree = ws_deflate_release;
  deflater->takeover = takeover;
  int bits = -(int)ws_window_bits(window); /* negative: no header */
  if (deflateInit2(&deflater->zlib, LEVEL, Z_DEFLATED, bits, memory_levels[window], Z_DEFAULT_STRATEGY) != Z_OK) {
    memory_free(deflater);
    return NULL;
  }
  return deflater;
}

void ws_deflater_free(struct ws_deflater *deflater) {
  if (!deflater) return;
  deflateEnd(&deflater->zlib);
  memory_free(deflater);
}

/* Writes until all input is used; with Z_SYNC_FLUSH, until the tail is written. (If the room ends
 * exactly after the tail, zlib writes another empty block. That is rare and harmless.) */
static bool deflate_all(z_stream *zlib, int flush, struct buffer *out) {
  do {
    char *end = buffer_reserve(out, 1);
    if (!end) return false;
    uInt room = clamp(out->capacity - out->len);
    zlib->next_out = (Bytef *)end;
    zlib->avail_out = room;
    int status = deflate(zlib, flush);
    assert(status == Z_OK || status == Z_BUF_ERROR);
    (void)status;
    out->len += room - zlib->avail_out;
  } while (zlib->avail_out == 0);
  return true;
}

static bool deflate_part(z_stream *zlib, struct bytes part, struct buffer *out) {
  while (part.len > 0) {
    uInt len = clamp(part.len);
    zlib->next_in = (const Bytef *)part.ptr;
    zlib->avail_in = len;
    if (!deflate_all(zlib, Z_NO_FLUSH, out)) return false;
    part = bytes_of(part.ptr + len, part.len - len);
  }
  return true;
}

bool ws_deflater_message(struct ws_deflater *deflater, const struct bytes *parts, size_t part_count, struct buffer *out) {
  z_stream *zlib = &deflater->zlib;
  size_t len = 0, start = out->len;
  for (size_t i = 0; i < part_count; i++) len += parts[i].len;
  if (len == 0) { /* section 7.2.3.6; zlib would not flush again */
    buffer_append_char(out, 0);
    return !out->failed;
  }
  if (!deflater->takeover) deflateReset(zlib);
  size_t room = len < ROOM_MAX ? deflateBound(zlib, (uLong)len) + sizeof(tail) + 2 : ROOM_MAX;
  if (!buffer_reserve(out, room)) return false;
  for (size_t i = 0; i < part_count; i++) {
    if (!deflate_part(zlib, parts[i], out)) return false;
  }
  if (!deflate_all(zlib, Z_SYNC_FLUSH, out)) return false;
  assert(out->len >= start + sizeof(tail) && memcmp(out->data + out->len - sizeof(tail), tail, sizeof(tail)) == 0);
  (void)start;
  out->len -= sizeof(tail);
  return true;
}

/* ---- Inflating ------------------------------------------------------------------------------- */

struct ws_inflater {
  z_stream zlib;
  bool is_between;  /* between two blocks, the last of which ended at a byte boundary */
  size_t tail_used; /* bytes of the tail that were fed after the message */
};

/* Always the largest window: it accepts any window that was negotiated, and its output does not
 * depend on how the input is split. */
struct ws_inflater *ws_inflater_new(void) {
  struct ws_inflater *inflater = memory_calloc(1, sizeof(*inflater));
  if (!inflater) return NULL;
  inflater->zlib.zalloc = allocate;
  inflater->zlib.zfree = ws_deflate_release;
  inflater->is_between = true;
  if (inflateInit2(&inflater->zlib, -MAX_WBITS) != Z_OK) {
    memory_free(inflater);
    return NULL;
  }
  return inflater;
}

void ws_inflater_free(struct ws_inflater *inflater) {
  if (!inflater) return;
  inflateEnd(&inflater->zlib);
  memory_free(inflater);
}

void ws_inflater_reset(struct ws_inflater *inflater) {
  inflateReset(&inflater->zlib);
  inflater->is_between = true;
  inflater->tail_used = 0;
}

/* Calls zlib once. Returns Z_OK if it made progress, Z_BUF_ERROR if it could not, or an error. */
static int inflate_step(struct ws_inflater *inflater, struct bytes *input, char *out, size_t *len) {
  z_stream *zlib = &inflater->zlib;
  uInt in = clamp(input->len), room = clamp(*len);
  zlib->next_in = (const Bytef *)input->ptr;
  zlib->avail_in = in;
  zlib->next_out = (Bytef *)out;
  zlib->avail_out = room;
  int status = inflate(zlib, Z_SYNC_FLUSH);
  *len = room - zlib->avail_out;
  in -= zlib->avail_in;
  *input = bytes_of(input->ptr + in, input->len - in);
  /* A block has just ended without unused bits. zlib forgets that if it is called without input. */
  if (status == Z_OK) inflater->is_between = (zlib->data_type & 0xbf) == 0x80;
  if (status != Z_STREAM_END) return status;
  /* A block was marked as the last. Others may follow (section 7.2.3.4) and refer to it, so the
   * window stays. inflateReset and inflateSetDictionary would copy the window for every two bytes
   * of an attacker. */
  inflater->is_between = true;
  return inflateResetKeep(zlib);
}

enum ws_inflate ws_inflater_feed(struct ws_inflater *inflater, struct bytes *input, char *out, size_t *len) {
  size_t room = *len;
  *len = 0;
  do {
    size_t step = room - *len;
    int status = inflate_step(inflater, input, out + *len, &step);
    *len += step;
    if (status == Z_MEM_ERROR) return WS_INFLATE_MEMORY;
    if (status != Z_OK && status != Z_BUF_ERROR) return WS_INFLATE_BROKEN;
  } while (input->len > 0 && *len < room);
  return *len == room ? WS_INFLATE_FULL : WS_INFLATE_MORE;
}

/* A message must end within the header of an empty block, whose rest is the tail. A message that
 * ended with a whole block (the last one, or none at all) is complete without the tail. */
enum ws_inflate ws_inflater_finish(struct ws_inflater *inflater, char *out, size_t *len) {
  if (inflater->tail_used == 0 && inflater->is_between) {
    *len = 0;
    return WS_INFLATE_MORE;
  }
  struct bytes rest = bytes_of(tail + inflater->tail_used, sizeof(tail) - inflater->tail_used);
  enum ws_inflate status = ws_inflater_feed(inflater, &rest, out, len);
  inflater->tail_used = sizeof(tail) - rest.len;
  if (status != WS_INFLATE_MORE) return status;
  inflater->tail_used = 0;
  return inflater->is_between ? WS_INFLATE_MORE : WS_INFLATE_BROKEN;
}
