#include "codec/proxy/address.h"

#include <arpa/inet.h>
#include <string.h>

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool ip_is_mapped(const struct ip_address *address) { return memcmp(address->bytes, mapped, sizeof mapped) == 0; }

struct ip_address ip_of(const unsigned char *bytes, size_t len) {
  struct ip_address address;
  if (len == 4) memcpy(address.bytes, mapped, sizeof mapped);
  memcpy(address.bytes + (len == 4 ? sizeof mapped : 0), bytes, len);
  return address;
}

bool ip_read(struct bytes text, struct ip_address *address) {
  char copy[IP_TEXT_MAX];
  unsigned char bytes[16];
  size_t len = bytes_find(text, '%');
  if (len < text.len && len + 1 == text.len) return false;
  if (len == 0 || len >= sizeof copy || memchr(text.ptr, '\0', len)) return false;
  memcpy(copy, text.ptr, len);
  copy[len] = '\0';
  bool is_v4 = len == text.len && inet_pton(AF_INET, copy, bytes) == 1;
  if (!is_v4 && inet_pton(AF_INET6, copy, bytes) != 1) return false;
  *address = ip_of(bytes, is_v4 ? 4 : 16);
  return true;
}

void ip_write(const struct ip_address *address, char out[IP_TEXT_MAX]) {
  bool is_v4 = ip_is_mapped(address);
  if (!inet_ntop(is_v4 ? AF_INET : AF_INET6, address->bytes + (is_v4 ? sizeof mapped : 0), out, IP_TEXT_MAX)) out[0] = '\0';
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static bool ip_is_port(struct bytes text) {
  uint64_t port;
  return text.len > 0 && text.len <= 5 && bytes_to_u64(text, &port) && port <= 65535;
}

bool ip_read_node(struct bytes text, struct ip_address *address) {
  if (text.len > 0 && text.ptr[0] == '[') {
    size_t end = bytes_find(text, ']');
    if (end == text.len) return false;
    struct bytes rest = bytes_of(text.ptr + end + 1, text.len - end - 1), inner = bytes_of(text.ptr + 1, end - 1);
    bool is_port = rest.len == 0 || (rest.ptr[0] == ':' && ip_is_port(bytes_of(rest.ptr + 1, rest.len - 1)));
    return is_port && bytes_find(inner, ':') < inner.len && ip_read(inner, address);
  }
  size_t colon = bytes_find(text, ':');
  bool has_port = colon < text.len && bytes_find(text, '.') < colon;
  if (!has_port) return ip_read(text, address);
  return ip_is_port(bytes_of(text.ptr + colon + 1, text.len - colon - 1)) && ip_read(bytes_of(text.ptr, colon), address);
}

/* ---- Networks -------------------------------------------------------------------------------- */

static bool ip_has_bits_after(const struct ip_address *address, unsigned prefix) {
  for (unsigned bit = prefix; bit < 128; bit++) {
    if (address->bytes[bit / 8] & (0x80 >> bit % 8)) return true;
  }
  return false;
}

const char *ip_network_read(struct bytes text, struct ip_network *network) {
  size_t slash = bytes_find(text, '/');
  struct bytes host = bytes_of(text.ptr, slash);
  bool is_v4 = bytes_find(host, ':') == host.len;
  uint64_t prefix = is_v4 ? 32 : 128;
  if (bytes_find(host, '%') < host.len || !ip_read(host, &network->address))
    return "not an address or a network, such as \"10.0.0.0/8\", \"2001:db8::/32\", and \"192.0.2.1\"";
  if (slash < text.len) {
    struct bytes bits = bytes_of(text.ptr + slash + 1, text.len - slash - 1);
    if (bits.len == 0 || bits.len > 3 || !bytes_to_u64(bits, &prefix) || prefix > (is_v4 ? 32 : 128))
      return is_v4 ? "the number after \"/\" must be from 0 to 32" : "the number after \"/\" must be from 0 to 128";
  }
  network->prefix = (unsigned)prefix + (is_v4 ? 96 : 0);
  if (ip_has_bits_after(&network->address, network->prefix)) return "the address has bits after the prefix: write \"10.0.0.0/8\"";
  return NULL;
}

bool ip_network_has(const struct ip_network *network, const struct ip_address *address) {
  unsigned bytes = network->prefix / 8, bits = network->prefix % 8;
  if (memcmp(network->address.bytes, address->bytes, bytes) != 0) return false;
  if (bits == 0) return true;
  unsigned mask = 0xffU << (8 - bits) & 0xff;
  return (network->address.bytes[bytes] & mask) == (address->bytes[bytes] & mask);
}
