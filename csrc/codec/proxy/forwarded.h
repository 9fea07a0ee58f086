/* Which client a proxy forwards a request for: X-Forwarded-For and X-Forwarded-Proto, or Forwarded
 * (RFC 7239).
 *
 * Each proxy appends the address that its connection came from, so the last address is the one that
 * the nearest proxy has seen. Anything before it was sent by someone else. It is read from the end,
 * until an address does not belong to a trusted proxy: that is the client's. */
#ifndef MOONWIRE_CODEC_PROXY_FORWARDED_H
#define MOONWIRE_CODEC_PROXY_FORWARDED_H

#include "codec/http/http_reader.h"
#include "codec/proxy/address.h"

VISIBILITY_PUSH

/* Addresses that are read at most. */
enum { FORWARDED_HOPS_MAX = 32 };

enum forwarded_headers {
  FORWARDED_ANY, /* X-Forwarded-For and X-Forwarded-Proto; without both, Forwarded */
  FORWARDED_X,
  FORWARDED_RFC /* Forwarded alone */
};

enum scheme { SCHEME_UNKNOWN, SCHEME_HTTP, SCHEME_HTTPS };

struct forwarded_client {
  bool has_address; /* false: it is unknown, or the proxy itself is the client */
  struct ip_address address;
  enum scheme scheme; /* by which the client has connected */
};

/* Reads them from the head of a request of a trusted proxy. What is malformed ends the reading. */
struct forwarded_client forwarded_read(const struct http_head *head, enum forwarded_headers headers,
                                       const struct ip_network *trusted, size_t trusted_count);

VISIBILITY_POP

#endif
