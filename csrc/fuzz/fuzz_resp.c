/* Replies are the same in any number of parts, and whatever a server sends, a value is complete or
 * there is none. A command is read back as it was written. */
#include "base/status.h"
#include "broker/resp.h"
#include "fuzz/fuzz.h"

static void print_value(struct buffer *out, const struct resp_value *value) {
  must(value != NULL);
  buffer_append_format(out, "%d %lld %zu:", (int)value->type, (long long)value->integer, value->text.len);
  buffer_append(out, value->text);
  must(value->type == RESP_ARRAY || value->count == 0);
  for (size_t i = 0; i < value->count; i++) print_value(out, resp_item(value, i));
}

/* Returns the status at the end, with everything that was read in `out`. */
static int read_all(struct bytes input, size_t step, struct buffer *out) {
  struct resp_reader reader;
  int status = MW_PENDING;
  resp_reader_init(&reader);
  for (size_t at = 0; at < input.len && status == MW_PENDING; at += step) {
    size_t len = step < input.len - at ? step : input.len - at;
    must(resp_feed(&reader, bytes_of(input.ptr + at, len)) == 0);
    struct resp_value *value;
    while ((status = resp_next(&reader, &value)) == 0) {
      print_value(out, value);
      resp_value_free(value);
    }
    must(status == MW_PENDING || reader.problem[0] != '\0');
  }
  resp_reader_deinit(&reader);
  return status;
}

static void check_reading(struct bytes input) {
  struct buffer whole, parts;
  buffer_init(&whole);
  buffer_init(&parts);
  int status = read_all(input, input.len > 0 ? input.len : 1, &whole);
  must(read_all(input, 1, &parts) == status);
  must(bytes_equal(buffer_bytes(&whole), buffer_bytes(&parts)));
  buffer_clear(&parts);
  must(read_all(input, 7, &parts) == status);
  must(bytes_equal(buffer_bytes(&whole), buffer_bytes(&parts)));
  buffer_deinit(&whole);
  buffer_deinit(&parts);
}

static void check_writing(struct bytes input) {
  struct buffer out;
  struct resp_reader reader;
  struct resp_value *value;
  struct bytes arguments[2] = {BYTES("ECHO"), input};
  buffer_init(&out);
  resp_reader_init(&reader);
  must(resp_write(&out, arguments, 2) == 0);
  must(resp_feed(&reader, buffer_bytes(&out)) == 0);
  must(resp_next(&reader, &value) == 0);
  must(bytes_equal(resp_text(resp_item(value, 1)), input));
  resp_value_free(value);
  must(resp_next(&reader, &value) == MW_PENDING);
  resp_reader_deinit(&reader);
  buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bytes input = fuzz_bytes(data, size);
  check_reading(input);
  check_writing(input);
  return 0;
}
