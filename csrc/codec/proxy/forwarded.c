#include "codec/proxy/forwarded.h"

/* Walks the items of all fields of a name from the last to the first. */
struct forwarded_walk {
  const struct http_head *head;
  struct bytes name;
  size_t field;      /* the fields before it are still to come */
  struct bytes rest; /* the part of a field that is still to come; ptr NULL: none */
};

/* Returns where the last item of a list begins: after the last comma outside quotes. */
static size_t forwarded_last(struct bytes list) {
  bool is_quoted = false;
  size_t at = list.len;
  while (at > 0 && (is_quoted || list.ptr[at - 1] != ',')) {
    if (list.ptr[at - 1] == '"') is_quoted = !is_quoted;
    at--;
  }
  return at;
}

/* Returns false at the end. */
static bool forwarded_next(struct forwarded_walk *walk, struct bytes *item) {
  while (!walk->rest.ptr && walk->field > 0) {
    const struct http_field *field = &walk->head->fields[--walk->field];
    if (bytes_equal_nocase(field->name, walk->name))
      walk->rest = bytes_of(field->value.ptr ? field->value.ptr : "", field->value.len);
  }
  if (!walk->rest.ptr) return false;
  size_t at = forwarded_last(walk->rest);
  *item = bytes_trim(bytes_of(walk->rest.ptr + at, walk->rest.len - at));
  walk->rest = at > 0 ? bytes_of(walk->rest.ptr, at - 1) : bytes_of(NULL, 0);
  return true;
}

static bool forwarded_is_trusted(const struct ip_address *address, const struct ip_network *trusted, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (ip_network_has(&trusted[i], address)) return true;
  }
  return false;
}

/* Some proxies name the scheme of WebSockets. */
static enum scheme forwarded_scheme(struct bytes text) {
  if (bytes_equal_nocase(text, BYTES("https")) || bytes_equal_nocase(text, BYTES("wss"))) return SCHEME_HTTPS;
  if (bytes_equal_nocase(text, BYTES("http")) || bytes_equal_nocase(text, BYTES("ws"))) return SCHEME_HTTP;
  return SCHEME_UNKNOWN;
}

/* ---- X-Forwarded-For ------------------------------------------------------------------------- */

static struct forwarded_client forwarded_read_x(const struct http_head *head, const struct ip_network *trusted, size_t count) {
  struct forwarded_client found = {0};
  struct forwarded_walk addresses = {.head = head, .name = BYTES("x-forwarded-for"), .field = head->field_count};
  struct forwarded_walk schemes = {.head = head, .name = BYTES("x-forwarded-proto"), .field = head->field_count};
  struct bytes item;
  bool is_first = true, goes_on = true;
  for (int hops = 0; goes_on && hops < FORWARDED_HOPS_MAX; hops++) {
    struct ip_address address;
    goes_on = forwarded_next(&addresses, &item) && ip_read_node(item, &address);
    if (!goes_on && !is_first) break;
    /* The scheme of the same proxy; if there are fewer, that of the one before. */
    if (forwarded_next(&schemes, &item)) found.scheme = forwarded_scheme(item);
    is_first = false;
    if (!goes_on) break;
    found.has_address = true;
    found.address = address;
    goes_on = forwarded_is_trusted(&address, trusted, count);
  }
  return found;
}

/* ---- Forwarded ------------------------------------------------------------------------------- */

struct forwarded_element {
  struct bytes address, scheme; /* ptr NULL: none */
};

/* Takes the quotes off. Returns false if it is neither a token nor a quoted string; escapes have no
 * use in either value. */
static bool forwarded_unquote(struct bytes *value) {
  if (value->len == 0) return false;
  if (value->ptr[0] == '"') {
    if (value->len < 2 || value->ptr[value->len - 1] != '"') return false;
    *value = bytes_of(value->ptr + 1, value->len - 2);
  }
  return bytes_find(*value, '"') == value->len && bytes_find(*value, '\\') == value->len;
}

/* Reads the parameters of an element, up to the next semicolon outside quotes. */
static bool forwarded_read_element(struct bytes text, struct forwarded_element *element) {
  *element = (struct forwarded_element){0};
  while (text.len > 0) {
    size_t end = 0;
    bool is_quoted = false;
    for (; end < text.len && (is_quoted || text.ptr[end] != ';'); end++) is_quoted ^= text.ptr[end] == '"';
    struct bytes pair = bytes_trim(bytes_of(text.ptr, end));
    size_t equals = bytes_find(pair, '=');
    text = end < text.len ? bytes_of(text.ptr + end + 1, text.len - end - 1) : bytes_of(NULL, 0);
    if (pair.len == 0) continue;
    if (equals == pair.len) return false;
    struct bytes name = bytes_trim(bytes_of(pair.ptr, equals));
    struct bytes value = bytes_trim(bytes_of(pair.ptr + equals + 1, pair.len - equals - 1));
    bool is_for = bytes_equal_nocase(name, BYTES("for")), is_proto = bytes_equal_nocase(name, BYTES("proto"));
    if (!is_for && !is_proto) continue;
    struct bytes *to = is_for ? &element->address : &element->scheme;
    if (to->ptr || !forwarded_unquote(&value)) return false;
    *to = bytes_of(value.ptr, value.len);
  }
  return true;
}

static struct forwarded_client forwarded_read_rfc(const struct http_head *head, const struct ip_network *trusted, size_t count) {
  struct forwarded_client found = {0};
  struct forwarded_walk walk = {.head = head, .name = BYTES("forwarded"), .field = head->field_count};
  struct forwarded_element element;
  struct bytes item;
  for (int hops = 0; hops < FORWARDED_HOPS_MAX; hops++) {
    if (!forwarded_next(&walk, &item) || !forwarded_read_element(item, &element)) break;
    struct ip_address address;
    bool has_address = element.address.ptr && ip_read_node(element.address, &address);
    if (!has_address && found.has_address) break;
    if (element.scheme.ptr) found.scheme = forwarded_scheme(element.scheme);
    if (!has_address) break;
    found.has_address = true;
    found.address = address;
    if (!forwarded_is_trusted(&address, trusted, count)) break;
  }
  return found;
}

struct forwarded_client forwarded_read(const struct http_head *head, enum forwarded_headers headers,
                                       const struct ip_network *trusted, size_t trusted_count) {
  bool has_x = http_head_field(head, BYTES("x-forwarded-for")).ptr || http_head_field(head, BYTES("x-forwarded-proto")).ptr;
  bool is_x = headers == FORWARDED_X || (headers == FORWARDED_ANY && has_x);
  return is_x ? forwarded_read_x(head, trusted, trusted_count) : forwarded_read_rfc(head, trusted, trusted_count);
}
