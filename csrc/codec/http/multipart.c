#include "codec/http/multipart.h"

/* ---- Parameters: "; name=value" or "; name=\"value\"" ----------------------------------------- */

struct parameter {
  struct bytes name, value; /* value: without quotes, with escapes */
  bool is_quoted;
};

static bool is_space(char c) { return c == ' ' || c == '\t'; }

static struct bytes skip(struct bytes text, size_t len) { return bytes_of(text.ptr + len, text.len - len); }

static struct bytes skip_spaces(struct bytes text) {
  size_t len = 0;
  while (len < text.len && is_space(text.ptr[len])) len++;
  return skip(text, len);
}

/* Returns the length of the quoted string at the start of `text`, with its quotes; 0: not closed. */
static size_t quoted_len(struct bytes text) {
  for (size_t i = 1; i < text.len; i++) {
    if (text.ptr[i] == '\\' && i + 1 < text.len) {
      i++;
    } else if (text.ptr[i] == '"') {
      return i + 1;
    }
  }
  return 0;
}

/* Takes the next parameter off *rest, which begins after the one before. Returns 1; 0 at the end; -1
 * if it is malformed. */
static int parameter_next(struct bytes *rest, struct parameter *out) {
  struct bytes text = skip_spaces(*rest);
  if (text.len == 0) return 0;
  if (text.ptr[0] != ';') return -1;
  text = skip_spaces(skip(text, 1));
  if (text.len == 0) return 0; /* a semicolon at the end */
  size_t equals = bytes_find(text, '=');
  out->name = bytes_trim(bytes_of(text.ptr, equals));
  if (equals == text.len || out->name.len == 0 || bytes_find(out->name, '"') < out->name.len) return -1;
  text = skip_spaces(skip(text, equals + 1));
  out->is_quoted = text.len > 0 && text.ptr[0] == '"';
  if (out->is_quoted) {
    size_t len = quoted_len(text);
    if (len == 0) return -1;
    out->value = bytes_of(text.ptr + 1, len - 2);
    *rest = skip(text, len);
  } else {
    size_t len = bytes_find(text, ';');
    out->value = bytes_trim(bytes_of(text.ptr, len));
    *rest = skip(text, len);
  }
  return 1;
}

/* Appends a value. In quotes, a backslash escapes a quote or another backslash; elsewhere it stays,
 * because some clients send paths. */
static void append_value(struct buffer *out, const struct parameter *parameter) {
  struct bytes value = parameter->value;
  for (size_t i = 0; i < value.len; i++) {
    bool escapes = parameter->is_quoted && value.ptr[i] == '\\' && i + 1 < value.len;
    if (escapes && (value.ptr[i + 1] == '"' || value.ptr[i + 1] == '\\')) i++;
    buffer_append_char(out, value.ptr[i]);
  }
}

/* ---- The boundary ---------------------------------------------------------------------------- */

static bool boundary_valid(struct bytes boundary) {
  if (boundary.len == 0 || boundary.len > MULTIPART_BOUNDARY_MAX || boundary.ptr[boundary.len - 1] == ' ') return false;
  for (size_t i = 0; i < boundary.len; i++) {
    char c = boundary.ptr[i];
    bool is_alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!is_alphanumeric && (c == '\0' || !strchr("'()+_,-./:=? ", c))) return false;
  }
  return true;
}

bool multipart_boundary(struct bytes content_type, struct buffer *out) {
  static const struct bytes type = {"multipart/form-data", 19};
  struct parameter parameter;
  size_t semicolon = bytes_find(content_type, ';');
  if (!bytes_equal_nocase(bytes_trim(bytes_of(content_type.ptr, semicolon)), type)) return false;
  struct bytes rest = skip(content_type, semicolon);
  size_t start = out->len;
  bool is_found = false;
  int next;
  while ((next = parameter_next(&rest, &parameter)) == 1) {
    if (!bytes_equal_nocase(parameter.name, BYTES("boundary"))) continue;
    if (is_found) return false;
    is_found = true;
    append_value(out, &parameter);
  }
  if (next < 0 || !is_found) return false;
  return out->failed || (out->len > start && boundary_valid(bytes_of(out->data + start, out->len - start)));
}

/* Returns the index of CRLF, "--", and the boundary in `text`, or text.len. The needle begins with
 * the only CR that it has, so the search takes linear time. */
static size_t find_delimiter(struct bytes text, struct bytes boundary) {
  size_t len = boundary.len + 4;
  for (size_t i = 0; i + len <= text.len; i++) {
    const char *cr = memchr(text.ptr + i, '\r', text.len - i);
    if (!cr) break;
    i = (size_t)(cr - text.ptr);
    if (i + len <= text.len && memcmp(cr, "\r\n--", 4) == 0 && memcmp(cr + 4, boundary.ptr, boundary.len) == 0) return i;
  }
  return text.len;
}

/* Reads what follows a boundary: CRLF (another part), or "--" (the end). */
static bool end_boundary(struct multipart *multipart) {
  struct bytes text = multipart->rest;
  if (bytes_starts_with(text, BYTES("--"))) {
    multipart->has_ended = true; /* what follows is ignored (RFC 2046 section 5.1.1) */
    return true;
  }
  text = skip_spaces(text);
  if (!bytes_starts_with(text, BYTES("\r\n"))) return false;
  multipart->rest = skip(text, 2);
  return true;
}

/* Reads the first boundary, before which other lines may stand. */
static bool begin_parts(struct multipart *multipart) {
  struct bytes body = multipart->rest, boundary = multipart->boundary;
  multipart->has_begun = true;
  bool is_first = bytes_starts_with(body, BYTES("--")) && bytes_starts_with(skip(body, 2), boundary);
  size_t at = is_first ? 0 : find_delimiter(body, boundary) + 2;
  if (!is_first && at + boundary.len + 2 > body.len) return false;
  multipart->rest = skip(body, at + 2 + boundary.len);
  return end_boundary(multipart);
}

/* ---- A part ---------------------------------------------------------------------------------- */

static const char *read_disposition(struct multipart_part *part, struct bytes value) {
  struct parameter parameter;
  size_t semicolon = bytes_find(value, ';');
  if (!bytes_equal_nocase(bytes_trim(bytes_of(value.ptr, semicolon)), BYTES("form-data"))) {
    return "the Content-Disposition of a part is not form-data";
  }
  struct bytes rest = skip(value, semicolon);
  bool has_name = false;
  int next;
  while ((next = parameter_next(&rest, &parameter)) == 1) {
    bool is_name = bytes_equal_nocase(parameter.name, BYTES("name"));
    bool is_filename = bytes_equal_nocase(parameter.name, BYTES("filename"));
    if ((is_name && has_name) || (is_filename && part->is_file)) return "a part has two names or filenames";
    if (is_name) append_value(&part->name, &parameter);
    if (is_filename) append_value(&part->filename, &parameter);
    has_name = has_name || is_name;
    part->is_file = part->is_file || is_filename;
  }
  if (next < 0) return "a parameter of Content-Disposition is malformed";
  return has_name ? NULL : "a part has no name";
}

static const char *read_header(struct multipart_part *part, struct bytes line, bool *has_disposition) {
  size_t colon = bytes_find(line, ':');
  if (colon == 0 || colon == line.len || is_space(line.ptr[0]) || is_space(line.ptr[colon - 1])) {
    return "a header of a part is malformed";
  }
  struct bytes name = bytes_of(line.ptr, colon), value = bytes_trim(skip(line, colon + 1));
  if (bytes_equal_nocase(name, BYTES("content-disposition"))) {
    if (*has_disposition) return "a part has two Content-Disposition headers";
    *has_disposition = true;
    return read_disposition(part, value);
  }
  if (bytes_equal_nocase(name, BYTES("content-type"))) part->type = value;
  bool is_encoding = bytes_equal_nocase(name, BYTES("content-transfer-encoding"));
  bool is_plain = bytes_equal_nocase(value, BYTES("binary")) || bytes_equal_nocase(value, BYTES("8bit")) ||
                  bytes_equal_nocase(value, BYTES("7bit"));
  return is_encoding && !is_plain ? "the Content-Transfer-Encoding of a part is not supported" : NULL;
}

/* Reads the headers of a part, up to and with the empty line. */
static const char *read_headers(struct multipart *multipart, struct multipart_part *part) {
  bool has_disposition = false;
  size_t used = 0;
  while (true) {
    struct bytes text = multipart->rest;
    size_t most = text.len < MULTIPART_HEAD_MAX - used ? text.len : MULTIPART_HEAD_MAX - used;
    size_t len = bytes_find(bytes_of(text.ptr, most), '\n');
    if (len == most) return most < text.len ? "the headers of a part exceed 8192 bytes" : "a part ends within its headers";
    if (len == 0 || text.ptr[len - 1] != '\r') return "a header of a part does not end in CRLF";
    struct bytes line = bytes_of(text.ptr, len - 1);
    multipart->rest = skip(text, len + 1);
    used += len + 1;
    if (line.len == 0) return has_disposition ? NULL : "a part has no Content-Disposition";
    if (memchr(line.ptr, '\0', line.len) || memchr(line.ptr, '\r', line.len)) return "a header of a part is malformed";
    const char *fault = read_header(part, line, &has_disposition);
    if (fault) return fault;
  }
}

void multipart_part_init(struct multipart_part *part) { *part = (struct multipart_part){.is_file = false}; }

void multipart_part_deinit(struct multipart_part *part) {
  buffer_deinit(&part->name);
  buffer_deinit(&part->filename);
}

int multipart_next(struct multipart *multipart, struct multipart_part *part, const char **fault) {
  buffer_clear(&part->name);
  buffer_clear(&part->filename);
  part->is_file = false;
  part->type = part->content = bytes_of(NULL, 0);
  if (!multipart->has_begun && !begin_parts(multipart)) {
    *fault = "the first boundary is missing";
    return -1;
  }
  if (multipart->has_ended) return 0;
  *fault = read_headers(multipart, part);
  if (*fault) return -1;
  /* An empty part has the CRLF of its empty line also before its boundary. */
  struct bytes from = bytes_of(multipart->rest.ptr - 2, multipart->rest.len + 2);
  size_t at = find_delimiter(from, multipart->boundary);
  if (at == from.len) {
    *fault = "the last boundary is missing";
    return -1;
  }
  part->content = at == 0 ? bytes_of(multipart->rest.ptr, 0) : bytes_of(multipart->rest.ptr, at - 2);
  multipart->rest = skip(from, at + 4 + multipart->boundary.len);
  if (end_boundary(multipart)) return 1;
  *fault = "a boundary is not followed by CRLF or --";
  return -1;
}
