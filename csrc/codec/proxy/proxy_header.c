#include "codec/proxy/proxy_header.h"

#include <string.h>

/* Bytes of a line of version 1 with its CRLF, and of the fixed part of version 2. */
enum { LINE_MAX_V1 = 107, FIXED_V2 = 16 };

/* Types of TLVs, and bits, of version 2. */
enum { TLV_CRC32C = 0x03, TLV_SSL = 0x20, CLIENT_HAS_SSL = 0x01 };

static const struct bytes signature = {"\r\n\r\n\0\r\nQUIT\n", 12};
static const struct bytes word = {"PROXY ", 6};

static enum proxy_result proxy_fail(const char **fault, const char *what) {
  *fault = what;
  return PROXY_MALFORMED;
}

/* True if either is the beginning of the other. */
static bool proxy_begins(struct bytes bytes, struct bytes with) {
  size_t len = bytes.len < with.len ? bytes.len : with.len;
  return len == 0 || memcmp(bytes.ptr, with.ptr, len) == 0;
}

/* ---- Version 1 ------------------------------------------------------------------------------- */

/* Takes the text up to the next space. */
static struct bytes proxy_word(struct bytes *rest) {
  size_t len = bytes_find(*rest, ' ');
  struct bytes found = bytes_of(rest->ptr, len);
  size_t used = len < rest->len ? len + 1 : len;
  *rest = bytes_of(rest->ptr + used, rest->len - used);
  return found;
}

static bool proxy_is_port(struct bytes text) {
  uint64_t port;
  bool is_padded = text.len > 1 && text.ptr[0] == '0';
  return text.len > 0 && text.len <= 5 && !is_padded && bytes_to_u64(text, &port) && port <= 65535;
}

/* An address of the stated family, without a zone. */
static bool proxy_is_address(struct bytes text, bool is_v6, struct ip_address *address) {
  bool has_colon = bytes_find(text, ':') < text.len;
  return has_colon == is_v6 && bytes_find(text, '%') == text.len && ip_read(text, address);
}

static enum proxy_result proxy_read_v1(struct bytes bytes, struct proxy_header *header, const char **fault) {
  size_t end = bytes_find(bytes, '\r');
  if (end + 1 >= bytes.len) {
    if (bytes.len >= LINE_MAX_V1) return proxy_fail(fault, "the line of a PROXY header of version 1 is longer than 107 bytes");
    return PROXY_MORE;
  }
  if (bytes.ptr[end + 1] != '\n' || end + 2 > LINE_MAX_V1)
    return proxy_fail(fault, "the line of a PROXY header of version 1 must end in CRLF within 107 bytes");
  struct bytes rest = bytes_of(bytes.ptr + word.len, end - word.len);
  struct bytes family = proxy_word(&rest);
  header->len = end + 2;
  if (bytes_equal(family, BYTES("UNKNOWN"))) return PROXY_DONE; /* the rest is to be ignored */
  bool is_v6 = bytes_equal(family, BYTES("TCP6"));
  if (!is_v6 && !bytes_equal(family, BYTES("TCP4")))
    return proxy_fail(fault, "the family of a PROXY header must be TCP4, TCP6, or UNKNOWN");
  struct ip_address destination;
  struct bytes source_text = proxy_word(&rest), destination_text = proxy_word(&rest);
  bool fine = proxy_is_address(source_text, is_v6, &header->address) && proxy_is_address(destination_text, is_v6, &destination);
  fine = fine && proxy_is_port(proxy_word(&rest)) && proxy_is_port(rest);
  if (!fine) return proxy_fail(fault, "malformed address or port in a PROXY header of version 1");
  header->has_address = true;
  return PROXY_DONE;
}

/* ---- Version 2 ------------------------------------------------------------------------------- */

static size_t proxy_u16(const unsigned char *at) { return (size_t)at[0] << 8 | at[1]; }

/* The CRC of Castagnoli (RFC 9260 appendix B), of the whole header with zeros at the four bytes of
 * the checksum itself. */
static uint32_t proxy_crc32c(struct bytes header, size_t checksum_at) {
  enum { POLYNOMIAL = 0x82f63b78 };
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < header.len; i++) {
    crc ^= i >= checksum_at && i < checksum_at + 4 ? 0 : (unsigned char)header.ptr[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? (uint32_t)POLYNOMIAL : 0);
  }
  return ~crc;
}

static bool proxy_checks(struct bytes header, const unsigned char *value) {
  uint32_t stated = (uint32_t)value[0] << 24 | (uint32_t)value[1] << 16 | (uint32_t)value[2] << 8 | value[3];
  return stated == proxy_crc32c(header, (size_t)((const char *)value - header.ptr));
}

/* Reads the TLVs, the last `left` bytes of the header. Returns the fault, or NULL. */
static const char *proxy_read_tlvs(struct proxy_header *header, struct bytes bytes, size_t left) {
  const unsigned char *at = (const unsigned char *)bytes.ptr + bytes.len - left;
  bool has_checksum = false;
  while (left > 0) {
    if (left < 3 || left - 3 < proxy_u16(at + 1)) return "malformed TLV in a PROXY header";
    size_t len = proxy_u16(at + 1);
    if (at[0] == TLV_CRC32C) {
      if (len != 4 || has_checksum) return "malformed TLV in a PROXY header";
      if (!proxy_checks(bytes, at + 3)) return "the checksum of a PROXY header does not match";
      has_checksum = true;
    }
    if (at[0] == TLV_SSL) {
      if (len < 5) return "malformed TLV in a PROXY header";
      header->scheme = at[3] & CLIENT_HAS_SSL ? SCHEME_HTTPS : SCHEME_HTTP;
    }
    at += 3 + len;
    left -= 3 + len;
  }
  return NULL;
}

static enum proxy_result proxy_read_v2(struct bytes bytes, struct proxy_header *header, const char **fault) {
  enum { LOCAL = 0, PROXY = 1 };
  static const size_t address_len[] = {[0] = 0, [1] = 12, [2] = 36, [3] = 216}; /* of both ends */
  const unsigned char *at = (const unsigned char *)bytes.ptr;
  if (bytes.len > 12 && at[12] >> 4 != 2) return proxy_fail(fault, "the version of a binary PROXY header must be 2");
  if (bytes.len > 12 && (at[12] & 0xf) > PROXY) return proxy_fail(fault, "unknown command in a PROXY header");
  if (bytes.len > 13 && (at[13] >> 4 > 3 || (at[13] & 0xf) > 2)) return proxy_fail(fault, "unknown family in a PROXY header");
  if (bytes.len < FIXED_V2) return PROXY_MORE;
  size_t len = proxy_u16(at + 14), family = at[13] >> 4;
  if (FIXED_V2 + len > PROXY_HEADER_MAX) return proxy_fail(fault, "a PROXY header is longer than 4096 bytes");
  if ((at[12] & 0xf) == PROXY && len < address_len[family])
    return proxy_fail(fault, "a PROXY header is shorter than its addresses");
  if (bytes.len < FIXED_V2 + len) return PROXY_MORE;
  header->len = FIXED_V2 + len;
  if ((at[12] & 0xf) == LOCAL) return PROXY_DONE; /* everything else is to be ignored */
  header->has_address = family == 1 || family == 2;
  if (header->has_address) header->address = ip_of(at + FIXED_V2, family == 1 ? 4 : 16);
  const char *tlv_fault = proxy_read_tlvs(header, bytes_of(bytes.ptr, header->len), len - address_len[family]);
  return tlv_fault ? proxy_fail(fault, tlv_fault) : PROXY_DONE;
}

enum proxy_result proxy_header_read(struct bytes bytes, struct proxy_header *header, const char **fault) {
  *header = (struct proxy_header){0};
  *fault = NULL;
  if (proxy_begins(bytes, signature)) return bytes.len < signature.len ? PROXY_MORE : proxy_read_v2(bytes, header, fault);
  if (proxy_begins(bytes, word)) return bytes.len < word.len ? PROXY_MORE : proxy_read_v1(bytes, header, fault);
  return proxy_fail(fault, "the connection does not begin with a PROXY header");
}
