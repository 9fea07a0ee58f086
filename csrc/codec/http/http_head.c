#include "codec/http/http_head.h"

static const struct http_error no_error = {0, NULL, HTTP_BOUND_NONE};

static struct http_error http_head_refuse(int status, const char *reason) {
  return (struct http_error){.status = status, .reason = reason};
}

static bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

static bool is_one_of(char c, struct bytes set) { return bytes_find(set, c) < set.len; }

bool http_token_valid(struct bytes text) {
  for (size_t i = 0; i < text.len; i++) {
    if (!is_alphanumeric(text.ptr[i]) && !is_one_of(text.ptr[i], BYTES("!#$%&'*+-.^_`|~"))) return false;
  }
  return text.len > 0;
}

bool http_value_valid(struct bytes text) {
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
  }
  return true;
}

/* Removes and returns the text before the first `c`, or all of it if there is none. *rest is the
 * text after `c`. */
static struct bytes cut(struct bytes *rest, char c) {
  struct bytes part = bytes_of(rest->ptr, bytes_find(*rest, c));
  size_t taken = part.len < rest->len ? part.len + 1 : part.len;
  *rest = bytes_of(rest->ptr + taken, rest->len - taken);
  return part;
}

/* ---- Request line ---------------------------------------------------------------------------- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static struct http_error read_version(struct http_head *head, struct bytes version) {
  if (version.len != 8 || !bytes_starts_with(version, BYTES("HTTP/")) || !is_digit(version.ptr[5]) || version.ptr[6] != '.' ||
      !is_digit(version.ptr[7])) {
    return http_head_refuse(400, "the request line must end in a version, such as HTTP/1.1");
  }
  if (version.ptr[5] != '1') return http_head_refuse(505, "only HTTP/1.0 and HTTP/1.1 are supported");
  /* A higher minor version is served as the highest supported one (RFC 9110 section 2.5). */
  head->minor = version.ptr[7] > '0';
  return no_error;
}

static struct http_error check_characters(struct bytes target) {
  if (target.len == 0) return http_head_refuse(400, "empty request target");
  for (size_t i = 0; i < target.len; i++) {
    unsigned char c = (unsigned char)target.ptr[i];
    if (c < 0x21 || c >= 0x7f)
      return http_head_refuse(
          400, "invalid byte in the request target; percent-encode bytes outside printable ASCII (a-umlaut is %C3%A4)");
  }
  return no_error;
}

struct http_error http_head_read_line(struct http_head *head, struct bytes line, size_t target_max) {
  struct bytes rest = line;
  head->method = cut(&rest, ' ');
  if (!http_token_valid(head->method)) return http_head_refuse(400, "the request line must begin with a method, such as GET");
  head->target = cut(&rest, ' ');
  struct http_error error = check_characters(head->target);
  if (error.status) return error;
  bool has_version = head->method.len + 1 + head->target.len < line.len;
  if (!has_version) return http_head_refuse(505, "HTTP/0.9 is not supported");
  error = read_version(head, rest);
  if (error.status) return error;
  if (head->target.len > target_max)
    return (struct http_error){414, "the request target is longer than limits.target", HTTP_BOUND_TARGET};
  if (bytes_equal(head->method, BYTES("CONNECT")))
    return http_head_refuse(501, "CONNECT is not supported: this server is not a proxy");
  /* of HTTP/2; llhttp accepts it */
  if (bytes_equal(head->method, BYTES("PRI"))) return http_head_refuse(501, "unknown method");
  return no_error;
}

/* ---- Fields ---------------------------------------------------------------------------------- */

struct http_error http_head_read_fields(struct http_head *head, struct bytes text, struct http_field *fields) {
  for (size_t i = 0; i < head->field_count; i++) {
    struct bytes value = cut(&text, '\n');
    value.len--; /* the CR */
    struct bytes name = cut(&value, ':');
    if (!http_token_valid(name) || name.ptr + name.len == value.ptr) return http_head_refuse(400, "malformed header name");
    value = bytes_trim(value);
    if (!http_value_valid(value)) return http_head_refuse(400, "control character in a header value");
    fields[i] = (struct http_field){name, value};
  }
  head->fields = fields;
  return no_error;
}

struct bytes http_head_field(const struct http_head *head, struct bytes name) {
  for (size_t i = head->field_count; i > 0; i--) {
    if (bytes_equal_nocase(head->fields[i - 1].name, name)) return head->fields[i - 1].value;
  }
  return bytes_of(NULL, 0);
}

struct bytes http_head_bearer(const struct http_head *head) {
  struct bytes field = http_head_field(head, BYTES("authorization")), scheme = BYTES("Bearer ");
  if (field.len < scheme.len || !bytes_equal_nocase(bytes_of(field.ptr, scheme.len), scheme)) return bytes_of(NULL, 0);
  return bytes_trim(bytes_of(field.ptr + scheme.len, field.len - scheme.len));
}

bool http_head_has_tag(const struct http_head *head, struct bytes tag) {
  struct bytes list = http_head_field(head, BYTES("if-none-match"));
  for (size_t at = 0; at < list.len;) {
    struct bytes rest = bytes_of(list.ptr + at, list.len - at);
    size_t len = bytes_find(rest, ',');
    struct bytes item = bytes_trim(bytes_of(rest.ptr, len));
    if (bytes_starts_with(item, BYTES("W/"))) item = bytes_of(item.ptr + 2, item.len - 2);
    if (bytes_equal(item, BYTES("*")) || bytes_equal(item, tag)) return true;
    at += len + 1;
  }
  return false;
}

size_t http_head_count(const struct http_head *head, struct bytes name) {
  size_t count = 0;
  for (size_t i = 0; i < head->field_count; i++) count += bytes_equal_nocase(head->fields[i].name, name);
  return count;
}

bool http_head_lists(const struct http_head *head, struct bytes name, struct bytes token) {
  for (size_t i = 0; i < head->field_count; i++) {
    if (bytes_equal_nocase(head->fields[i].name, name) && bytes_list_has(head->fields[i].value, token)) return true;
  }
  return false;
}

/* ---- Body ------------------------------------------------------------------------------------ */

/* Refuses everything that two readers could understand differently, because that is how requests
 * are smuggled past a proxy. */
struct http_error http_head_frame(struct http_head *head, struct http_framing *framing) {
  struct bytes length = http_head_field(head, BYTES("content-length"));
  struct bytes coding = http_head_field(head, BYTES("transfer-encoding"));
  *framing = (struct http_framing){0};
  head->has_length = length.ptr || coding.ptr;
  if (length.ptr && coding.ptr) return http_head_refuse(400, "Content-Length and Transfer-Encoding cannot be combined");
  if (coding.ptr) {
    if (head->minor == 0) return http_head_refuse(400, "Transfer-Encoding is not allowed with HTTP/1.0");
    if (http_head_count(head, BYTES("transfer-encoding")) > 1)
      return http_head_refuse(400, "more than one Transfer-Encoding header");
    if (!bytes_equal_nocase(coding, BYTES("chunked"))) return http_head_refuse(501, "unsupported transfer coding; use chunked");
    framing->chunked = true;
  }
  if (length.ptr) {
    if (http_head_count(head, BYTES("content-length")) > 1) return http_head_refuse(400, "more than one Content-Length header");
    if (!bytes_to_u64(length, &framing->length)) return http_head_refuse(400, "Content-Length is not a number");
  }
  return no_error;
}

/* ---- The rest -------------------------------------------------------------------------------- */

static bool is_authority(struct bytes text) {
  for (size_t i = 0; i < text.len; i++) {
    if (!is_alphanumeric(text.ptr[i]) && !is_one_of(text.ptr[i], BYTES("-._~%!$&'()*+,;=:[]"))) return false;
  }
  return true;
}

static struct http_error check_host(struct http_head *head) {
  size_t count = http_head_count(head, BYTES("host"));
  if (count == 0 && head->minor == 1) return http_head_refuse(400, "missing Host header");
  if (count > 1) return http_head_refuse(400, "more than one Host header");
  head->host = http_head_field(head, BYTES("host"));
  if (!is_authority(head->host)) return http_head_refuse(400, "malformed Host header");
  return no_error;
}

/* Checks fields that may occur only once. Security depends on them, and two readers could choose
 * different ones. */
static struct http_error check_single(const struct http_head *head) {
  static const struct {
    struct bytes name;
    const char *reason;
  } single[] = {{{"origin", 6}, "more than one Origin header"},
                {{"content-type", 12}, "more than one Content-Type header"},
                {{"authorization", 13}, "more than one Authorization header"}};
  for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
    if (http_head_count(head, single[i].name) > 1) return http_head_refuse(400, single[i].reason);
  }
  return no_error;
}

/* Replaces the Host field by the host of the target, which takes precedence (RFC 9112 section
 * 3.2.2). */
static void set_host(struct http_head *head, struct http_field *fields, struct bytes host) {
  head->host = host;
  for (size_t i = 0; i < head->field_count; i++) {
    if (bytes_equal_nocase(fields[i].name, BYTES("host"))) fields[i].value = host;
  }
}

/* Reduces "http://host/path" to "/path". */
static struct http_error reduce_target(struct http_head *head, struct http_field *fields, char *target) {
  struct bytes text = head->target, scheme = BYTES("http://"), secure = BYTES("https://");
  size_t skip = 0;
  if (text.len > scheme.len && bytes_equal_nocase(bytes_of(text.ptr, scheme.len), scheme)) skip = scheme.len;
  if (text.len > secure.len && bytes_equal_nocase(bytes_of(text.ptr, secure.len), secure)) skip = secure.len;
  if (skip == 0) return http_head_refuse(400, "the request target must be a path or a URL");
  size_t end = skip;
  while (end < text.len && text.ptr[end] != '/' && text.ptr[end] != '?') end++;
  if (end == skip || !is_authority(bytes_of(text.ptr + skip, end - skip)))
    return http_head_refuse(400, "no host in the request target");
  size_t host_len = end - skip;
  if (end == text.len || text.ptr[end] == '?') {
    /* Without a path, the host moves over the last byte of "//", to make room for the slash. */
    memmove(target + skip - 1, target + skip, host_len);
    skip--;
    target[--end] = '/';
  }
  set_host(head, fields, bytes_of(target + skip, host_len));
  head->target = bytes_of(target + end, text.len - end);
  return no_error;
}

static struct http_error check_target(struct http_head *head, struct http_field *fields, char *target) {
  struct http_error error = no_error;
  bool is_asterisk = bytes_equal(head->target, BYTES("*"));
  if (bytes_find(head->target, '#') < head->target.len)
    return http_head_refuse(400, "the request target must not have a fragment");
  if (is_asterisk && !bytes_equal(head->method, BYTES("OPTIONS")))
    return http_head_refuse(400, "the request target * is allowed only with OPTIONS");
  if (!is_asterisk && head->target.ptr[0] != '/') error = reduce_target(head, fields, target);
  struct bytes rest = head->target;
  head->path = cut(&rest, '?');
  head->query = rest;
  return error;
}

static struct http_error check_expect(struct http_head *head, bool has_body) {
  head->expect_continue = false;
  for (size_t i = 0; i < head->field_count; i++) {
    if (!bytes_equal_nocase(head->fields[i].name, BYTES("expect"))) continue;
    if (!bytes_equal_nocase(head->fields[i].value, BYTES("100-continue")))
      return http_head_refuse(417, "unsupported Expect header; use 100-continue");
    head->expect_continue = head->minor == 1 && has_body;
  }
  return no_error;
}

struct http_error http_head_check(struct http_head *head, struct http_field *fields, const struct http_framing *framing,
                                  char *target) {
  struct bytes connection = BYTES("connection");
  head->has_body = framing->chunked || framing->length > 0;
  struct http_error error = check_host(head);
  if (!error.status) error = check_single(head);
  if (!error.status) error = check_target(head, fields, target);
  if (!error.status) error = check_expect(head, head->has_body);
  if (error.status) return error;

  /* Offers of other protocols are ignored (RFC 9110 section 7.8). A WebSocket client may already
   * have sent frames, so the bytes after its request are never read as HTTP. */
  bool offers = head->minor == 1 && bytes_equal(head->method, BYTES("GET")) &&
                http_head_lists(head, connection, BYTES("upgrade")) &&
                http_head_lists(head, BYTES("upgrade"), BYTES("websocket"));
  if (offers && head->has_body) return http_head_refuse(400, "a request with Upgrade must not have a body");
  head->upgrade = offers;
  bool wanted = head->minor == 1 || http_head_lists(head, connection, BYTES("keep-alive"));
  head->keep_alive = wanted && !head->upgrade && !http_head_lists(head, connection, BYTES("close"));
  return no_error;
}

/* ---- Salvaging ------------------------------------------------------------------------------- */

/* Returns a line with its newline, or nothing if it is incomplete. */
static struct bytes next_line(struct bytes *rest) {
  size_t len = bytes_find(*rest, '\n');
  if (len == rest->len) return *rest = bytes_of(NULL, 0);
  struct bytes line = bytes_of(rest->ptr, len + 1);
  *rest = bytes_of(rest->ptr + line.len, rest->len - line.len);
  return line;
}

size_t http_head_count_lines(struct bytes text) {
  size_t count = 0;
  next_line(&text);
  while (next_line(&text).len > 2) count++;
  return count;
}

void http_head_salvage(struct http_head *head, struct bytes text, struct http_field *fields, size_t field_max,
                       size_t target_max) {
  struct http_head line_head = {0};
  struct bytes rest = text, line = next_line(&rest), method = bytes_of(text.ptr, bytes_find(text, ' '));
  *head = line_head;
  if (method.len < text.len && http_token_valid(method)) head->method = method;
  if (line.len <= 2 || http_head_read_line(&line_head, bytes_of(line.ptr, line.len - 2), target_max).status) return;
  *head = line_head;
  if (head->target.ptr[0] == '/') head->path = bytes_of(head->target.ptr, bytes_find(head->target, '?'));
  head->fields = fields;
  for (size_t i = 0; i < field_max; i++) {
    struct http_head one = {.field_count = 1};
    line = next_line(&rest);
    bool has_end = line.len >= 2 && line.ptr[line.len - 2] == '\r';
    if (has_end && !http_head_read_fields(&one, line, &fields[head->field_count]).status) head->field_count++;
  }
  head->host = http_head_field(head, BYTES("host"));
}

/* ---- Shedding -------------------------------------------------------------------------------- */

static void move(struct bytes *part, struct buffer *to) {
  if (!part->ptr) return;
  size_t at = to->len;
  buffer_append(to, *part);
  *part = bytes_of(to->data + at, part->len);
}

void http_head_shed(struct http_head *head, struct buffer *text, struct http_field *fields, const struct bytes *names,
                    size_t name_count) {
  struct buffer kept;
  size_t count = 0, len = head->method.len + head->host.len + 1;
  for (size_t i = 0; i < head->field_count; i++) {
    bool is_kept = false;
    for (size_t k = 0; k < name_count; k++) is_kept = is_kept || bytes_equal_nocase(fields[i].name, names[k]);
    if (is_kept) len += fields[i].name.len + fields[i].value.len;
  }
  buffer_init(&kept);
  /* One allocation, so that nothing moves later. */
  if (!buffer_reserve(&kept, len)) {
    buffer_deinit(&kept);
    return;
  }
  for (size_t i = 0; i < head->field_count; i++) {
    bool is_kept = false;
    for (size_t k = 0; k < name_count; k++) is_kept = is_kept || bytes_equal_nocase(fields[i].name, names[k]);
    if (!is_kept) continue;
    fields[count] = fields[i];
    move(&fields[count].name, &kept);
    move(&fields[count].value, &kept);
    count++;
  }
  move(&head->method, &kept);
  move(&head->host, &kept);
  head->field_count = count;
  head->target = head->path = head->query = bytes_of(kept.data, 0);
  buffer_deinit(text);
  *text = kept;
}
