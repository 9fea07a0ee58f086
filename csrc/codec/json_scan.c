#include "codec/json_scan.h"

#include "base/hex.h"
#include "base/utf8.h"

/* A recursive descent, whose depth is limited by JSON_DEPTH_MAX. A step that fails sets `reason`,
 * and `at` is the place of the fault. */
struct scanner {
  const char *at, *end;
  const char *reason;
  unsigned depth;
};

static bool scan_value(struct scanner *scanner);

static bool json_fail(struct scanner *scanner, const char *reason) {
  scanner->reason = scanner->at == scanner->end ? "unexpected end" : reason;
  return false;
}

static void skip_spaces(struct scanner *scanner) {
  while (scanner->at < scanner->end && json_is_space(*scanner->at)) scanner->at++;
}

static bool next_is(const struct scanner *scanner, char c) { return scanner->at < scanner->end && *scanner->at == c; }

/* ---- Strings --------------------------------------------------------------------------------- */

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

static uint64_t zero_bytes(uint64_t word) { return (word - EACH_BYTE(1)) & ~word & EACH_BYTE(0x80); }

/* Returns true if the eight bytes are printable ASCII without quotes and backslashes. */
static bool is_plain_word(const char *ptr) {
  uint64_t word;
  memcpy(&word, ptr, sizeof(word));
  uint64_t below_space = (word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80);
  return ((word & EACH_BYTE(0x80)) | below_space | zero_bytes(word ^ EACH_BYTE('"')) | zero_bytes(word ^ EACH_BYTE('\\'))) == 0;
}

/* Returns the number of "\uXXXX" at `ptr`, or -1. */
static int32_t read_unit(const char *ptr, const char *end) {
  if (end - ptr < 6 || ptr[0] != '\\' || ptr[1] != 'u') return -1;
  int32_t unit = 0;
  for (int i = 2; i < 6; i++) {
    int digit = hex_value(ptr[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

/* Reads the "\u" escape at `ptr`, with the second half of a surrogate pair. Returns its length in
 * bytes, or 0 if it is invalid. */
static size_t read_escape(const char *ptr, const char *end, uint32_t *code_point) {
  int32_t unit = read_unit(ptr, end);
  if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff)) return 0;
  *code_point = (uint32_t)unit;
  if (unit < 0xd800 || unit > 0xdbff) return 6;
  int32_t low = read_unit(ptr + 6, end);
  if (low < 0xdc00 || low > 0xdfff) return 0;
  *code_point = 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
  return 12;
}

static bool scan_escape(struct scanner *scanner, bool is_name) {
  char kind = '\0';
  if (scanner->end - scanner->at > 1) kind = scanner->at[1];
  if (kind == 'u') {
    uint32_t code_point;
    size_t len = read_escape(scanner->at, scanner->end, &code_point);
    if (len == 0) return json_fail(scanner, "invalid \\u escape");
    if (is_name && code_point == 0) return json_fail(scanner, "NUL in a member name");
    scanner->at += len;
    return true;
  }
  if (kind == '\0' || !strchr("\"\\/bfnrt", kind)) return json_fail(scanner, "invalid escape");
  scanner->at += 2;
  return true;
}

static bool scan_string(struct scanner *scanner, bool is_name) {
  scanner->at++;
  while (scanner->at < scanner->end) {
    if (scanner->end - scanner->at >= 8 && is_plain_word(scanner->at)) {
      scanner->at += 8;
      continue;
    }
    unsigned char c = (unsigned char)*scanner->at;
    if (c == '"') {
      scanner->at++;
      return true;
    }
    if (c == '\\') {
      if (!scan_escape(scanner, is_name)) return false;
      continue;
    }
    if (c < 0x20) return json_fail(scanner, "control character in a string");
    uint32_t code_point;
    size_t len = utf8_decode(bytes_of(scanner->at, (size_t)(scanner->end - scanner->at)), &code_point);
    if (len == 0) return json_fail(scanner, "invalid UTF-8");
    scanner->at += len;
  }
  return json_fail(scanner, NULL);
}

/* ---- Numbers, words -------------------------------------------------------------------------- */

static bool scan_digits(struct scanner *scanner) {
  const char *start = scanner->at;
  while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9') scanner->at++;
  return scanner->at > start || json_fail(scanner, "expected a digit");
}

static bool scan_number(struct scanner *scanner) {
  if (next_is(scanner, '-')) scanner->at++;
  if (next_is(scanner, '0')) {
    scanner->at++;
  } else if (!scan_digits(scanner)) {
    return false;
  }
  if (next_is(scanner, '.')) {
    scanner->at++;
    if (!scan_digits(scanner)) return false;
  }
  if (next_is(scanner, 'e') || next_is(scanner, 'E')) {
    scanner->at++;
    if (next_is(scanner, '+') || next_is(scanner, '-')) scanner->at++;
    if (!scan_digits(scanner)) return false;
  }
  return true;
}

static bool scan_word(struct scanner *scanner, struct bytes word) {
  for (size_t i = 0; i < word.len; i++, scanner->at++) {
    if (!next_is(scanner, word.ptr[i])) return json_fail(scanner, "expected a value");
  }
  return true;
}

/* ---- Arrays, objects ------------------------------------------------------------------------- */

static bool scan_member(struct scanner *scanner) {
  if (!next_is(scanner, '"')) return json_fail(scanner, "expected a member name");
  if (!scan_string(scanner, true)) return false;
  skip_spaces(scanner);
  if (!next_is(scanner, ':')) return json_fail(scanner, "expected a colon");
  scanner->at++;
  return scan_value(scanner);
}

/* Scans the contents of brackets; `at` is after the opening one. */
static bool scan_contents(struct scanner *scanner, char close) {
  skip_spaces(scanner);
  if (next_is(scanner, close)) {
    scanner->at++;
    return true;
  }
  for (;;) {
    skip_spaces(scanner);
    if (close == '}' ? !scan_member(scanner) : !scan_value(scanner)) return false;
    skip_spaces(scanner);
    if (next_is(scanner, close)) {
      scanner->at++;
      return true;
    }
    if (!next_is(scanner, ',')) return json_fail(scanner, close == '}' ? "expected a comma or }" : "expected a comma or ]");
    scanner->at++;
  }
}

static bool scan_container(struct scanner *scanner, char close) {
  if (scanner->depth == JSON_DEPTH_MAX) return json_fail(scanner, "nested too deeply; at most 64 levels");
  scanner->at++;
  scanner->depth++;
  bool ok = scan_contents(scanner, close);
  scanner->depth--;
  return ok;
}

static bool scan_value(struct scanner *scanner) {
  skip_spaces(scanner);
  if (scanner->at == scanner->end) return json_fail(scanner, NULL);
  switch (*scanner->at) {
    case '{': return scan_container(scanner, '}');
    case '[': return scan_container(scanner, ']');
    case '"': return scan_string(scanner, false);
    case 't': return scan_word(scanner, BYTES("true"));
    case 'f': return scan_word(scanner, BYTES("false"));
    case 'n': return scan_word(scanner, BYTES("null"));
    default: break;
  }
  if (*scanner->at != '-' && (*scanner->at < '0' || *scanner->at > '9')) return json_fail(scanner, "expected a value");
  return scan_number(scanner);
}

static enum json_type type_of(char first) {
  switch (first) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    case 'n': return JSON_NULL;
    default: return JSON_NUMBER;
  }
}

bool json_scan(struct bytes text, struct json_value *value, struct json_fault *fault) {
  const char *start = text.len > 0 ? text.ptr : "";
  struct scanner scanner = {.at = start, .end = start + text.len};
  skip_spaces(&scanner);
  const char *first = scanner.at;
  bool ok = scan_value(&scanner);
  const char *last = scanner.at;
  if (ok) {
    skip_spaces(&scanner);
    ok = scanner.at == scanner.end || json_fail(&scanner, "unexpected text after the value");
  }
  if (ok) {
    *value = (struct json_value){type_of(*first), bytes_of(first, (size_t)(last - first))};
  } else if (fault) {
    *fault = (struct json_fault){(size_t)(scanner.at - start), scanner.reason};
  }
  return ok;
}

/* ---- Walking what was accepted --------------------------------------------------------------- */

static void json_drop(struct bytes *text, size_t len) { *text = bytes_of(text->ptr + len, text->len - len); }

static void drop_spaces(struct bytes *text) {
  while (text->len > 0 && json_is_space(text->ptr[0])) json_drop(text, 1);
}

/* Returns the length of the string at the start of `text`. */
static size_t string_len(struct bytes text) {
  size_t i = 1;
  while (i < text.len && text.ptr[i] != '"') i += text.ptr[i] == '\\' ? 2 : 1;
  return i + 1;
}

static size_t value_len(struct bytes text) {
  enum json_type type = type_of(text.ptr[0]);
  if (type == JSON_STRING) return string_len(text);
  size_t i = 0, depth = 0;
  bool is_container = type == JSON_OBJECT || type == JSON_ARRAY;
  while (i < text.len) {
    char c = text.ptr[i];
    if (!is_container && (c == ',' || c == ']' || c == '}' || json_is_space(c))) break;
    if (c == '"') {
      i += string_len(bytes_of(text.ptr + i, text.len - i));
      continue;
    }
    i++;
    if (c == '{' || c == '[') depth++;
    if ((c == '}' || c == ']') && --depth == 0) break;
  }
  return i;
}

static struct json_value take_value(struct bytes *rest) {
  size_t len = value_len(*rest);
  struct json_value value = {type_of(rest->ptr[0]), bytes_of(rest->ptr, len)};
  json_drop(rest, len);
  return value;
}

/* Moves after the opening bracket or the comma. Returns false at the end of the container. */
static bool enter_next(struct bytes *rest, char open) {
  drop_spaces(rest);
  if (rest->len == 0 || (rest->ptr[0] != open && rest->ptr[0] != ',')) return false;
  json_drop(rest, 1);
  drop_spaces(rest);
  return rest->len > 0 && rest->ptr[0] != '}' && rest->ptr[0] != ']';
}

bool json_next_member(struct bytes *rest, struct json_value *name, struct json_value *value) {
  if (!enter_next(rest, '{')) return false;
  *name = take_value(rest);
  drop_spaces(rest);
  json_drop(rest, 1); /* the colon */
  drop_spaces(rest);
  *value = take_value(rest);
  return true;
}

bool json_next_item(struct bytes *rest, struct json_value *value) {
  if (!enter_next(rest, '[')) return false;
  *value = take_value(rest);
  return true;
}

/* ---- Decoding -------------------------------------------------------------------------------- */

static char simple_escape(char kind) {
  switch (kind) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return kind;
  }
}

/* Returns the next piece of a string's decoded text: a run without escapes, or one escape, decoded
 * to `scratch`. `rest` is the text between the quotes, and is not empty. */
static struct bytes take_piece(struct bytes *rest, char scratch[4]) {
  if (rest->ptr[0] != '\\') {
    struct bytes run = bytes_of(rest->ptr, bytes_find(*rest, '\\'));
    json_drop(rest, run.len);
    return run;
  }
  uint32_t code_point;
  size_t len = read_escape(rest->ptr, rest->ptr + rest->len, &code_point);
  if (len > 0) {
    json_drop(rest, len);
    return bytes_of(scratch, utf8_encode(code_point, scratch));
  }
  scratch[0] = simple_escape(rest->ptr[1]);
  json_drop(rest, 2);
  return bytes_of(scratch, 1);
}

static struct bytes between_quotes(struct json_value string) { return bytes_of(string.raw.ptr + 1, string.raw.len - 2); }

void json_string_decode(struct json_value string, struct buffer *out) {
  struct bytes rest = between_quotes(string);
  char scratch[4];
  while (rest.len > 0) buffer_append(out, take_piece(&rest, scratch));
}

bool json_string_equal(struct json_value string, struct bytes text) {
  struct bytes rest = between_quotes(string);
  char scratch[4];
  /* Most differ here already; an escape is longer than what it stands for. */
  if (rest.len < text.len || (text.len > 0 && rest.ptr[0] != '\\' && rest.ptr[0] != text.ptr[0])) return false;
  while (rest.len > 0) {
    struct bytes piece = take_piece(&rest, scratch);
    if (!bytes_starts_with(text, piece)) return false;
    json_drop(&text, piece.len);
  }
  return text.len == 0;
}
