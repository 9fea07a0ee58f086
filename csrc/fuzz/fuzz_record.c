/* Whatever is published, what is read from it lies within it, and is written as it was. */
#include "base/buffer.h"
#include "broker/record.h"
#include "fuzz/fuzz.h"

static void check(struct bytes input, uint64_t position) {
  struct broker_message message = {.record = input, .position = position};
  struct message_parts parts;
  if (record_read(BYTES("a"), &message, 1024, &parts)) return;
  must(parts.data.len <= 1024);
  must(position > 0 || !parts.is_final);
  must(input.ptr <= parts.event.ptr && parts.data.ptr + parts.data.len == input.ptr + input.len);
  struct buffer out;
  buffer_init(&out);
  record_write(&out, &parts);
  must(!out.failed && bytes_equal(buffer_bytes(&out), input));
  buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check(fuzz_bytes(data, size), 0);
  check(fuzz_bytes(data, size), 7);
  return 0;
}
