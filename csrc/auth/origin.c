#include "auth/origin.h"

struct origin {
  struct bytes scheme; /* "https" */
  struct bytes host;   /* "a.example" or "[::1]" */
  struct bytes port;   /* digits, or empty for the default port of the scheme */
};

/* Splits "host[:port]". The default port of the scheme counts as none. */
static bool split_host(struct bytes text, struct bytes scheme, struct origin *origin) {
  size_t colon = text.len;
  while (colon > 0 && text.ptr[colon - 1] >= '0' && text.ptr[colon - 1] <= '9') colon--;
  bool has_port = colon > 0 && colon < text.len && text.ptr[colon - 1] == ':';
  origin->scheme = scheme;
  origin->host = has_port ? bytes_of(text.ptr, colon - 1) : text;
  origin->port = has_port ? bytes_of(text.ptr + colon, text.len - colon) : bytes_of(NULL, 0);
  struct bytes own = bytes_equal_nocase(scheme, BYTES("https")) ? BYTES("443") : BYTES("80");
  if (bytes_equal(origin->port, own)) origin->port = bytes_of(NULL, 0);
  if (origin->host.len == 0) return false;
  bool bracketed = origin->host.ptr[0] == '[';
  for (size_t i = 0; i < origin->host.len; i++) {
    unsigned char c = (unsigned char)origin->host.ptr[i];
    if (c <= ' ' || c >= 0x7f || strchr("/\\?#@,", c) || (c == ':' && !bracketed)) return false;
  }
  return true;
}

static bool origin_split(struct bytes text, struct origin *origin) {
  size_t len = bytes_find(text, ':');
  if (len == 0 || text.len < len + 4 || memcmp(text.ptr + len, "://", 3) != 0) return false;
  return split_host(bytes_of(text.ptr + len + 3, text.len - len - 3), bytes_of(text.ptr, len), origin);
}

const char *origin_fault(struct bytes entry) {
  if (bytes_equal(entry, BYTES("*"))) return NULL;
  struct origin origin;
  if (!origin_split(entry, &origin)) return "an origin is \"https://host\" with a port if need be, and no path";
  struct bytes host = origin.host;
  if (bytes_starts_with(host, BYTES("*."))) host = bytes_of(host.ptr + 2, host.len - 2);
  if (host.len == 0 || bytes_find(host, '*') < host.len)
    return "a wildcard must be the whole first label, as in \"https://*.b.example\"";
  return NULL;
}

static bool host_matches(struct bytes pattern, struct bytes host) {
  if (!bytes_starts_with(pattern, BYTES("*."))) return bytes_equal_nocase(pattern, host);
  struct bytes suffix = bytes_of(pattern.ptr + 1, pattern.len - 1);
  if (host.len <= suffix.len) return false;
  return bytes_equal_nocase(bytes_of(host.ptr + host.len - suffix.len, suffix.len), suffix);
}

bool origin_matches(struct bytes entry, struct bytes origin) {
  if (bytes_equal(entry, BYTES("*"))) return true;
  struct origin a, b;
  return origin_split(entry, &a) && origin_split(origin, &b) && bytes_equal_nocase(a.scheme, b.scheme) &&
         bytes_equal(a.port, b.port) && host_matches(a.host, b.host);
}

bool origin_is_same(struct bytes origin, struct bytes host, struct bytes scheme) {
  struct origin a, b;
  if (!origin_split(origin, &a) || (scheme.len > 0 && !bytes_equal_nocase(a.scheme, scheme))) return false;
  return split_host(host, a.scheme, &b) && bytes_equal_nocase(a.host, b.host) && bytes_equal(a.port, b.port);
}
