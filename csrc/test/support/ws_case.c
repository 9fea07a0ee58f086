#include "test/support/ws_case.h"

#include <stdlib.h>

#include "test/support.h"
#include "test/support/case_text.h"

static const unsigned char default_key[4] = {0x37, 0xfa, 0x21, 0x3d};

/* ---- Words ----------------------------------------------------------------------------------- */

static unsigned long number(struct bytes word) {
  char digits[24] = "";
  memcpy(digits, word.ptr, word.len < sizeof digits ? word.len : sizeof digits - 1);
  return strtoul(digits, NULL, 10);
}

/* Appends the bytes of pairs of hex digits. Returns how many characters they are. */
static size_t append_hex(struct buffer *out, struct bytes text) {
  size_t len = 0;
  for (char *end; len + 2 <= text.len; len += 2) {
    char digits[3] = {text.ptr[len], text.ptr[len + 1], 0};
    char byte = (char)strtoul(digits, &end, 16);
    if (*end != 0) break;
    buffer_append_char(out, byte);
  }
  return len;
}

/* Reads "abc" or hex:00ff, with an optional *100 after it. Returns its length, or 0 if it is
 * neither. */
static size_t append_piece(struct buffer *out, struct bytes word) {
  struct buffer piece = {0};
  size_t len = 0, digits = 0, times = 1;
  if (bytes_starts_with(word, BYTES("hex:"))) {
    len = 4 + append_hex(&piece, bytes_of(word.ptr + 4, word.len - 4));
  } else if (word.ptr[0] == '"') {
    for (len = 1; len < word.len && word.ptr[len] != '"'; len++) len += word.ptr[len] == '\\';
    case_text_unquote(&piece, bytes_of(word.ptr + 1, len - 1));
    len++;
  }
  if (len > 0 && len < word.len && word.ptr[len] == '*') {
    for (len++; len + digits < word.len && word.ptr[len + digits] >= '0' && word.ptr[len + digits] <= '9';) digits++;
    times = number(bytes_of(word.ptr + len, digits));
  }
  for (size_t i = 0; i < times; i++) buffer_append(out, buffer_bytes(&piece));
  buffer_deinit(&piece);
  return len + digits;
}

static void append_pieces(struct buffer *out, struct bytes line) {
  for (struct bytes word; (word = case_text_word(&line)).len > 0;) {
    while (word.len > 0) {
      size_t len = append_piece(out, word);
      if (len == 0 || len > word.len) fail_msg("not bytes: %.*s", (int)word.len, word.ptr);
      word = bytes_of(word.ptr + len, word.len - len);
    }
  }
}

/* Removes NAME=VALUE from the start of the line and returns the value, or `otherwise`. */
static struct bytes take_attribute(struct bytes *line, const char *name, const char *otherwise) {
  struct bytes rest = *line, word = case_text_word(&rest);
  size_t equals = bytes_find(word, '=');
  if (equals == word.len || !bytes_equal(bytes_of(word.ptr, equals), bytes_string(name))) return bytes_string(otherwise);
  *line = rest;
  return bytes_of(word.ptr + equals + 1, word.len - equals - 1);
}

/* ---- Input ----------------------------------------------------------------------------------- */

struct frame {
  unsigned opcode;
  bool fin, masked;
  unsigned rsv;
  unsigned char key[4];
  size_t form, length, fragments; /* 0: valid */
};

/* The state that "more" continues: the mask of the last frame, and the index in its payload. */
struct place {
  unsigned char key[4];
  size_t offset;
};

static void append_masked(struct buffer *out, struct bytes payload, struct place *place) {
  size_t at = out->len;
  buffer_append(out, payload);
  if (payload.len == 0) return;
  for (size_t i = 0; i < payload.len; i++) out->data[at + i] ^= (char)place->key[(place->offset + i) % 4];
  place->offset += payload.len;
}

static void append_frame(struct buffer *out, const struct frame *frame, struct bytes payload, size_t length,
                         struct place *place) {
  size_t form = frame->form ? frame->form : length < 126 ? 7 : length < 65536 ? 16 : 64, size = form / 16 * 2;
  *place = (struct place){{0}, 0};
  buffer_append_char(out, (char)((frame->fin ? 0x80U : 0U) | frame->rsv << 4 | frame->opcode));
  buffer_append_char(out, (char)((frame->masked ? 0x80 : 0) | (form == 7 ? length : form == 16 ? 126 : 127)));
  for (size_t i = size; i > 0; i--) buffer_append_char(out, (char)((uint64_t)length >> (8 * (i - 1))));
  if (frame->masked) {
    memcpy(place->key, frame->key, sizeof frame->key);
    buffer_append(out, bytes_of((const char *)frame->key, sizeof frame->key));
  }
  append_masked(out, payload, place);
}

static void append_fragments(struct buffer *out, struct frame frame, struct bytes payload, struct place *place) {
  bool fin = frame.fin;
  for (size_t at = 0; at == 0 || at < payload.len; at += frame.fragments) {
    size_t len = payload.len - at < frame.fragments ? payload.len - at : frame.fragments;
    frame.fin = fin && at + len == payload.len;
    append_frame(out, &frame, bytes_of(payload.len > 0 ? payload.ptr + at : "", len), len, place);
    frame.opcode = WS_OPCODE_CONTINUATION;
    frame.rsv = 0;
  }
}

static bool read_opcode(struct bytes word, unsigned *opcode) {
  static const struct {
    const char *name;
    enum ws_opcode opcode;
  } names[] = {{"continue", WS_OPCODE_CONTINUATION}, {"text", WS_OPCODE_TEXT}, {"binary", WS_OPCODE_BINARY},
               {"close", WS_OPCODE_CLOSE},           {"ping", WS_OPCODE_PING}, {"pong", WS_OPCODE_PONG}};
  bool found = bytes_starts_with(word, BYTES("op"));
  if (found) *opcode = (unsigned)number(bytes_of(word.ptr + 2, word.len - 2));
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    if (!bytes_equal(word, bytes_string(names[i].name))) continue;
    *opcode = names[i].opcode;
    found = true;
  }
  return found;
}

/* The attributes may have any order. */
static void read_attributes(struct frame *frame, struct bytes *line) {
  for (size_t before = 0; before != line->len;) {
    before = line->len;
    struct bytes mask = take_attribute(line, "mask", "");
    if (bytes_equal(mask, BYTES("none")))
      frame->masked = false;
    else if (mask.len > 0) {
      struct buffer key = {0};
      append_hex(&key, mask);
      memcpy(frame->key, key.data, sizeof frame->key);
      buffer_deinit(&key);
    }
    if (bytes_equal(take_attribute(line, "fin", "1"), BYTES("0"))) frame->fin = false;
    frame->rsv |= (unsigned)number(take_attribute(line, "rsv", "0"));
    frame->form += number(take_attribute(line, "form", "0"));
    frame->fragments += number(take_attribute(line, "fragments", "0"));
    struct bytes length = take_attribute(line, "length", "");
    if (length.len > 0) frame->length = number(length);
  }
}

static void append_payload(struct buffer *out, unsigned opcode, struct bytes line) {
  struct bytes rest = line, word = case_text_word(&rest);
  bool has_code = opcode == WS_OPCODE_CLOSE && word.len > 0 && word.ptr[0] >= '0' && word.ptr[0] <= '9';
  if (has_code) {
    buffer_append_char(out, (char)(number(word) >> 8));
    buffer_append_char(out, (char)number(word));
  }
  append_pieces(out, has_code ? rest : line);
}

static void append_sent(struct buffer *out, struct bytes line, struct place *place) {
  struct frame frame = {.fin = true, .masked = true, .length = SIZE_MAX};
  struct buffer payload = {0};
  memcpy(frame.key, default_key, sizeof frame.key);
  struct bytes whole = line, word = case_text_word(&line);
  if (bytes_equal(word, BYTES("raw"))) {
    while ((word = case_text_word(&line)).len > 0) append_hex(out, word);
  } else if (bytes_equal(word, BYTES("more"))) {
    append_pieces(&payload, line);
    append_masked(out, buffer_bytes(&payload), place);
  } else if (!read_opcode(word, &frame.opcode)) {
    case_text_refuse(whole, word);
  } else {
    read_attributes(&frame, &line);
    append_payload(&payload, frame.opcode, line);
    if (frame.fragments > 0)
      append_fragments(out, frame, buffer_bytes(&payload), place);
    else
      append_frame(out, &frame, buffer_bytes(&payload), frame.length == SIZE_MAX ? payload.len : frame.length, place);
  }
  buffer_deinit(&payload);
}

/* ---- Expected events ------------------------------------------------------------------------- */

static void append_line(struct buffer *out, const char *what, struct bytes payload) {
  static const char digits[] = "0123456789abcdef";
  buffer_append_string(out, what);
  for (size_t i = 0; i < payload.len; i++) {
    buffer_append_char(out, digits[(unsigned char)payload.ptr[i] >> 4]);
    buffer_append_char(out, digits[(unsigned char)payload.ptr[i] & 15]);
  }
  buffer_append_char(out, '\n');
}

void ws_case_event(struct buffer *out, const struct ws_reader *reader, enum ws_event event) {
  char what[32];
  switch (event) {
    case WS_MESSAGE: append_line(out, ws_reader_is_binary(reader) ? "binary " : "text ", ws_reader_payload(reader)); break;
    case WS_PING: append_line(out, "ping ", ws_reader_payload(reader)); break;
    case WS_PONG: append_line(out, "pong ", ws_reader_payload(reader)); break;
    case WS_CLOSE:
      snprintf(what, sizeof what, "close %u ", ws_reader_close_info(reader).code);
      append_line(out, what, ws_reader_close_info(reader).reason);
      break;
    case WS_ERROR:
      snprintf(what, sizeof what, "error %u", ws_reader_close_info(reader).code);
      append_line(out, what, bytes_of(NULL, 0));
      break;
    case WS_PAUSED:
    case WS_MORE: break;
  }
}

static void append_expected(struct buffer *out, struct bytes line, bool *is_idle) {
  char what[32];
  struct buffer payload = {0};
  struct bytes word = case_text_word(&line), rest = line, code = case_text_word(&rest);
  bool closes = bytes_equal(word, BYTES("close")), fails = bytes_equal(word, BYTES("error"));
  *is_idle = !closes && !fails && !bytes_equal(word, BYTES("nothing"));
  if (closes || fails) {
    snprintf(what, sizeof what, "%s %lu%s", closes ? "close" : "error", code.len > 0 ? number(code) : WS_CLOSE_ABSENT,
             closes ? " " : "");
    append_pieces(&payload, rest);
    append_line(out, what, buffer_bytes(&payload));
  } else if (*is_idle) {
    snprintf(what, sizeof what, "%.*s ", (int)word.len, word.ptr);
    append_pieces(&payload, line);
    append_line(out, what, buffer_bytes(&payload));
  }
  buffer_deinit(&payload);
}

/* ---- The case -------------------------------------------------------------------------------- */

static void read_terms(struct ws_case *test, struct bytes line) {
  test->terms.agreed = true;
  for (struct bytes word; (word = case_text_word(&line)).len > 0;) {
    if (!bytes_equal(word, BYTES("client_takeover"))) case_text_refuse(line, word);
    test->terms.client_takeover = true;
  }
}

static struct ws_case_step *next_step(struct ws_case *test) {
  assert_true(test->step_count < WS_CASE_STEPS_MAX);
  struct ws_case_step *step = &test->steps[test->step_count++];
  if (test->step_count > 1) buffer_append(&step->trace, buffer_bytes(&step[-1].trace));
  return step;
}

void ws_case_init(struct ws_case *test, struct bytes text) {
  struct bytes whole = text, line;
  struct place place = {{0}, 0};
  struct ws_case_step *step = NULL;
  /* the events of the step were listed; more input begins the next step */
  bool answered = true, is_idle = true;
  *test = (struct ws_case){.limits = {.frame = SIZE_MAX / 2, .message = SIZE_MAX / 2}};
  case_text_line(&text, &test->title);
  while (case_text_line(&text, &line)) {
    struct bytes word = line;
    if (case_text_take(&line, ">")) {
      if (answered) step = next_step(test);
      append_sent(&step->sent, line, &place);
      answered = false;
    } else if (step && case_text_take(&line, "<")) {
      append_expected(&step->trace, line, &is_idle);
      answered = true;
    } else if (case_text_take(&line, "deflate")) {
      read_terms(test, line);
    } else if (case_text_take(&line, "limits")) {
      test->limits.frame = number(take_attribute(&line, "frame", ""));
      test->limits.message = number(take_attribute(&line, "message", ""));
    } else {
      case_text_refuse(whole, word);
    }
  }
  test->is_idle = is_idle && !test->terms.client_takeover;
  assert_true(test->step_count > 0);
}

void ws_case_deinit(struct ws_case *test) {
  for (size_t i = 0; i < test->step_count; i++) {
    buffer_deinit(&test->steps[i].sent);
    buffer_deinit(&test->steps[i].trace);
  }
}
