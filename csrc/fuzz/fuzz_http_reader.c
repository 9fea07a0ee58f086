/* The events do not depend on how the input is split, and the limits hold. */
#include "fuzz/fuzz.h"
#include "test/support/http_trace.h"

static const struct http_limits limits = {.target = 64, .head = 512, .fields = 8, .body = 64};

static void compare(struct bytes input, struct bytes expected, size_t first, size_t step) {
  struct buffer trace = {0};
  must(http_trace(&trace, &limits, input, first, step));
  if (!bytes_equal(buffer_bytes(&trace), expected)) {
    fprintf(stderr, "whole:\n%.*scut at %zu, then every %zu:\n%.*s", (int)expected.len, expected.ptr ? expected.ptr : "", first,
            step, (int)trace.len, trace.data ? trace.data : "");
  }
  must(bytes_equal(buffer_bytes(&trace), expected));
  buffer_deinit(&trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bytes input = fuzz_bytes(data, size);
  struct buffer whole = {0};
  must(http_trace(&whole, &limits, input, size, 1));
  size_t sum = 0; /* selects the splits, so that seeds are ordinary requests */
  for (size_t i = 0; i < size; i++) sum = sum * 31 + data[i];
  compare(input, buffer_bytes(&whole), 1, 1);
  compare(input, buffer_bytes(&whole), sum % (size + 1), size + 1);
  compare(input, buffer_bytes(&whole), sum % 7, 2 + sum % 13);
  buffer_deinit(&whole);
  return 0;
}
