/* A PROXY header is the same in any number of parts. Addresses, networks, and forwarded headers are
 * read without a fault, and an address that was read can be written and read again. */
#include "codec/proxy/proxy_header.h"
#include "fuzz/fuzz.h"

static void check_address(const struct ip_address *address) {
  char text[IP_TEXT_MAX];
  struct ip_address again;
  ip_write(address, text);
  must(ip_read(bytes_of(text, strlen(text)), &again) && memcmp(&again, address, sizeof again) == 0);
}

static void check_header(struct bytes input) {
  struct proxy_header header, part;
  const char *fault;
  enum proxy_result whole = proxy_header_read(input, &header, &fault);
  must((whole == PROXY_MALFORMED) == (fault != NULL));
  if (whole == PROXY_DONE) must(header.len <= input.len && header.len <= PROXY_HEADER_MAX);
  if (whole == PROXY_DONE && header.has_address) check_address(&header.address);
  if (whole == PROXY_MORE) must(input.len < PROXY_HEADER_MAX);
  for (size_t len = 0; len < input.len && len < PROXY_HEADER_MAX; len++) {
    enum proxy_result result = proxy_header_read(bytes_of(input.ptr, len), &part, &fault);
    if (whole == PROXY_DONE) must(result == (len < header.len ? PROXY_MORE : PROXY_DONE));
    if (whole == PROXY_MORE) must(result == PROXY_MORE);
    if (result == PROXY_MALFORMED) must(whole == PROXY_MALFORMED);
  }
}

/* Each line is a field, of one name by turns. */
static void check_forwarded(struct bytes input) {
  static const struct bytes names[] = {{"X-Forwarded-For", 15}, {"X-Forwarded-Proto", 17}, {"Forwarded", 9}};
  enum { FIELDS = 12 };
  struct http_field fields[FIELDS];
  struct http_head head = {.fields = fields};
  struct ip_network trusted;
  must(!ip_network_read(BYTES("10.0.0.0/8"), &trusted));
  while (input.len > 0 && head.field_count < FIELDS) {
    size_t len = bytes_find(input, '\n'), used = len < input.len ? len + 1 : len;
    fields[head.field_count] = (struct http_field){names[head.field_count % 3], bytes_trim(bytes_of(input.ptr, len))};
    head.field_count++;
    input = bytes_of(input.ptr + used, input.len - used);
  }
  for (int headers = FORWARDED_ANY; headers <= FORWARDED_RFC; headers++) {
    struct forwarded_client found = forwarded_read(&head, (enum forwarded_headers)headers, &trusted, 1);
    if (found.has_address) check_address(&found.address);
  }
}

static void check_text(struct bytes input) {
  struct ip_address address;
  struct ip_network network;
  if (ip_read(input, &address)) {
    check_address(&address);
    must(ip_read_node(input, &address) || bytes_find(input, '%') < input.len);
  }
  if (!ip_network_read(input, &network)) must(network.prefix <= 128 && ip_network_has(&network, &network.address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bytes input = fuzz_bytes(data, size);
  check_header(input);
  check_forwarded(input);
  check_text(input);
  return 0;
}
