/* IP addresses and networks, as text. */
#ifndef MOONWIRE_CODEC_PROXY_ADDRESS_H
#define MOONWIRE_CODEC_PROXY_ADDRESS_H

#include "base/bytes.h"

VISIBILITY_PUSH

/* An IPv4 address is kept as the IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), so that it is
 * the same however a socket reports it. */
struct ip_address {
  unsigned char bytes[16];
};

struct ip_network {
  struct ip_address address; /* the bits after the prefix are 0 */
  unsigned prefix;           /* bits, of 128 */
};

enum { IP_TEXT_MAX = 46 }; /* bytes of a text with its NUL */

/* Reads an address, with nothing around it. A zone ("%eth0") is ignored. */
bool ip_read(struct bytes text, struct ip_address *address);
/* Makes an address from 4 or 16 bytes in network order. */
struct ip_address ip_of(const unsigned char *bytes, size_t len);
/* Writes the address, terminated. */
void ip_write(const struct ip_address *address, char out[IP_TEXT_MAX]);
/* Reads a node as proxies write it: an address, an IPv4 address or a bracketed IPv6 address with a
 * port, or a bracketed IPv6 address. Names such as "unknown" and "_hidden" are not addresses. */
bool ip_read_node(struct bytes text, struct ip_address *address);

/* Reads "10.0.0.0/8", "2001:db8::/32", or an address, which is a network of one. Returns NULL, or a
 * constant that states the fault. */
const char *ip_network_read(struct bytes text, struct ip_network *network);
bool ip_network_has(const struct ip_network *network, const struct ip_address *address);

VISIBILITY_POP

#endif
