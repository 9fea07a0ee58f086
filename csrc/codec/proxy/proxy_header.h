/* The PROXY protocol, versions 1 and 2: a header that a proxy sends before anything else, with the
 * address of its client (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt). */
#ifndef MOONWIRE_CODEC_PROXY_PROXY_HEADER_H
#define MOONWIRE_CODEC_PROXY_PROXY_HEADER_H

#include "codec/proxy/address.h"
#include "codec/proxy/forwarded.h"

VISIBILITY_PUSH

/* Bytes of a header. A longer one, with many TLVs, is malformed. */
enum { PROXY_HEADER_MAX = 4096 };

struct proxy_header {
  size_t len;       /* of the header */
  bool has_address; /* false: the proxy itself is the client, or the address is not of IP */
  struct ip_address address;
  enum scheme scheme; /* SCHEME_HTTPS: the client has connected by TLS (PP2_TYPE_SSL) */
};

enum proxy_result { PROXY_MORE, PROXY_DONE, PROXY_MALFORMED };

/* Reads the beginning of a connection. PROXY_MORE: the bytes are the beginning of a header. Call
 * again with the same and more. *fault receives a constant that states what is malformed. */
enum proxy_result proxy_header_read(struct bytes bytes, struct proxy_header *header, const char **fault);

VISIBILITY_POP

#endif
