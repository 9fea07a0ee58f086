/* The events do not depend on how the input is split, with any terms of compression. The limits
 * hold, and texts are UTF-8. */
#include "fuzz/fuzz.h"
#include "test/support/ws_trace.h"

static const struct ws_limits limits = {.frame = 300, .message = 400};

static void compare(struct ws_deflate_terms terms, struct bytes input, struct bytes expected, size_t first, size_t step) {
  struct buffer trace = {0};
  must(ws_trace_terms(&trace, &limits, terms, input, first, step));
  if (!bytes_equal(buffer_bytes(&trace), expected)) {
    fprintf(stderr, "whole:\n%.*scut at %zu, then every %zu:\n%.*s", (int)expected.len, expected.ptr ? expected.ptr : "", first,
            step, (int)trace.len, trace.data ? trace.data : "");
  }
  must(bytes_equal(buffer_bytes(&trace), expected));
  buffer_deinit(&trace);
}

static void try_cuts(struct ws_deflate_terms terms, struct bytes input) {
  struct buffer whole = {0};
  must(ws_trace_terms(&whole, &limits, terms, input, input.len, 1));
  size_t sum = 0; /* selects the splits, so that seeds are ordinary frames */
  for (size_t i = 0; i < input.len; i++) sum = sum * 31 + (unsigned char)input.ptr[i];
  compare(terms, input, buffer_bytes(&whole), 1, 1);
  compare(terms, input, buffer_bytes(&whole), sum % (input.len + 1), input.len + 1);
  compare(terms, input, buffer_bytes(&whole), sum % 7, 2 + sum % 13);
  buffer_deinit(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bytes input = fuzz_bytes(data, size);
  try_cuts((struct ws_deflate_terms){0}, input);
  try_cuts((struct ws_deflate_terms){.agreed = true}, input);
  try_cuts((struct ws_deflate_terms){.agreed = true, .client_takeover = true}, input);
  return 0;
}
