#include "base/memory.h"
#include "codec/http/multipart.h"
#include "test/support.h"

/* ---- The boundary ---------------------------------------------------------------------------- */

#define SEVENTY "1234567890123456789012345678901234567890123456789012345678901234567890"

static void boundaries_are_found(void **state) {
  (void)state;
  static const struct {
    const char *type, *boundary; /* NULL: refused */
  } cases[] = {
      {"multipart/form-data; boundary=x", "x"},
      {"multipart/form-data;boundary=x", "x"},
      {"Multipart/Form-Data; Boundary=x", "x"},
      {"multipart/form-data ; charset=utf-8 ; boundary = x ; a=b", "x"},
      {"multipart/form-data; boundary=\"x\"", "x"},
      {"multipart/form-data; boundary=\"a b\"", "a b"},
      {"multipart/form-data; a=\";boundary=y\"; boundary=x", "x"},
      {"multipart/form-data; boundary=\"a\\\"\"", NULL},
      {"multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW", "----WebKitFormBoundary7MA4YWxkTrZu0gW"},
      {"multipart/form-data; boundary='()+_,-./:=?", "'()+_,-./:=?"},
      {"multipart/form-data; boundary=x;", "x"},
      {"multipart/form-data; boundary=" SEVENTY, SEVENTY},
      {"multipart/form-data; boundary=" SEVENTY "1", NULL},
      {"multipart/form-data; boundary=", NULL},
      {"multipart/form-data; boundary=\"\"", NULL},
      {"multipart/form-data; boundary=\"x", NULL},
      {"multipart/form-data; boundary=\"x\" y", NULL},
      {"multipart/form-data; boundary=\"x \"", NULL},
      {"multipart/form-data; boundary=x; boundary=y", NULL},
      {"multipart/form-data; boundary=x\x01", NULL},
      {"multipart/form-data; boundary=\xc3\xa4", NULL},
      {"multipart/form-data; boundary=a\\b", NULL},
      {"multipart/form-data; boundary", NULL},
      {"multipart/form-data; =x", NULL},
      {"multipart/form-data", NULL},
      {"multipart/form-data;", NULL},
      {"multipart/form-datax; boundary=x", NULL},
      {"multipart/mixed; boundary=x", NULL},
      {"", NULL},
      {"; boundary=x", NULL},
  };
  struct buffer out = {0};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    buffer_clear(&out);
    bool found = multipart_boundary(bytes_string(cases[i].type), &out);
    if (found != (cases[i].boundary != NULL)) fail_msg("%s: %d", cases[i].type, found);
    if (found) assert_bytes_string(buffer_bytes(&out), cases[i].boundary);
  }
  buffer_deinit(&out);
}

/* ---- Parts ----------------------------------------------------------------------------------- */

#define PART(headers, content) "--x\r\n" headers "\r\n\r\n" content "\r\n"
#define FIELD(name, content) PART("Content-Disposition: form-data; name=\"" name "\"", content)
#define END "--x--\r\n"

/* Writes what is read of a body: "name=content;" for a field, "name=filename(type)content;" for a
 * file, and at the end "!fault". */
static void read_all(struct bytes body, struct bytes boundary, struct buffer *out) {
  struct multipart multipart = {.rest = body, .boundary = boundary};
  struct multipart_part part;
  const char *fault = NULL;
  int next;
  multipart_part_init(&part);
  while ((next = multipart_next(&multipart, &part, &fault)) == 1) {
    buffer_append(out, buffer_bytes(&part.name));
    buffer_append_char(out, '=');
    if (part.is_file) {
      buffer_append(out, buffer_bytes(&part.filename));
      buffer_append_char(out, '(');
      buffer_append(out, part.type);
      buffer_append_char(out, ')');
    }
    buffer_append(out, part.content);
    buffer_append_char(out, ';');
  }
  if (next < 0) {
    buffer_append_char(out, '!');
    buffer_append_string(out, fault);
  } else {
    assert_int_equal(multipart_next(&multipart, &part, &fault), 0);
  }
  multipart_part_deinit(&part);
}

static const char *read_x(const char *body) {
  static char text[4096];
  struct buffer out = {0};
  read_all(bytes_string(body), BYTES("x"), &out);
  snprintf(text, sizeof text, "%.*s", (int)out.len, out.data ? out.data : "");
  buffer_deinit(&out);
  return text;
}

static void parts_are_read(void **state) {
  (void)state;
  static const struct {
    const char *body, *read;
  } cases[] = {
      {END, ""},
      {"--x--", ""},
      {"--x--\r\nepilogue\r\n--x\r\n", ""},
      {"--x--epilogue", ""},
      {FIELD("a", "b") END, "a=b;"},
      {FIELD("a", "b") "--x--", "a=b;"},
      {FIELD("a", "") END, "a=;"},
      {FIELD("", "b") END, "=b;"},
      {FIELD("a", "b") FIELD("a", "c") FIELD("d", "e") END, "a=b;a=c;d=e;"},
      {FIELD("a", "line\r\nline\r\n") END, "a=line\r\nline\r\n;"},
      {FIELD("a", "\n--x--\n--x\n") END, "a=\n--x--\n--x\n;"},
      {FIELD("a", "\r\n--\r\n-x\r\n--y") END, "a=\r\n--\r\n-x\r\n--y;"},
      {FIELD("a", "\r\r\n") END, "a=\r\r\n;"},
      {"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n--x--", "a=;"}, /* a part without a body */
      {"preamble\r\nmore\r\n" FIELD("a", "b") END, "a=b;"},
      {"\r\n" FIELD("a", "b") END, "a=b;"},
      {"--x \t\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x  \r\nContent-Disposition: form-data; "
       "name=c\r\n\r\nd\r\n--x--",
       "a=b;c=d;"},
      /* names */
      {PART("content-disposition:form-data;name=a", "b") END, "a=b;"},
      {PART("Content-Disposition: FORM-DATA; NAME=a", "b") END, "a=b;"},
      {PART("Content-Disposition: form-data ; name = \"a b\" ; ", "c") END, "a b=c;"},
      {PART("Content-Disposition: form-data; name=\"a\\\"b\\\\c\\d\"", "e") END, "a\"b\\c\\d=e;"},
      {PART("Content-Disposition: form-data; name=\"a;b=c\"", "d") END, "a;b=c=d;"},
      {PART("Content-Disposition: form-data; name=\"a%22%0D%0Ab\"", "c") END, "a%22%0D%0Ab=c;"},
      {PART("Content-Disposition: form-data; name=\"\xc3\xa4\"", "b") END, "\xc3\xa4=b;"},
      {PART("X: y\r\nContent-Disposition: form-data; name=a; other=\"name\"\r\nZ:", "b") END, "a=b;"},
      /* files */
      {PART("Content-Disposition: form-data; name=\"a\"; filename=\"b.txt\"\r\nContent-Type: text/plain", "c") END,
       "a=b.txt(text/plain)c;"},
      {PART("Content-Disposition: form-data; filename=\"\"; name=\"a\"\r\nContent-Type: application/octet-stream", "") END,
       "a=(application/octet-stream);"},
      {PART("Content-Disposition: form-data; name=a; filename=\"../../etc/passwd\"", "c") END, "a=../../etc/passwd()c;"},
      {PART("Content-Disposition: form-data; name=a; filename=\"C:\\dir\\b.txt\"", "c") END, "a=C:\\dir\\b.txt()c;"},
      {PART("Content-Disposition: form-data; name=a; filename*=UTF-8''b", "c") END, "a=c;"},
      {PART("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: 8BIT", "c") END, "a=c;"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const char *read = read_x(cases[i].body);
    if (strcmp(read, cases[i].read) != 0) fail_msg("%s\nwas read as %s", cases[i].body, read);
  }
}

static void malformed_bodies_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *body, *read;
  } cases[] = {
      {"", "!the first boundary is missing"},
      {"a=b", "!the first boundary is missing"},
      {"--", "!the first boundary is missing"},
      {"--y\r\n", "!the first boundary is missing"},
      {"--x", "!the first boundary is missing"},
      {"--x\n", "!the first boundary is missing"},
      {"--xy\r\n", "!the first boundary is missing"},
      {"\n--x\r\n", "!the first boundary is missing"},
      {"--x\r\n", "!a part ends within its headers"},
      {"--x\r\nContent-Disposition: form-data; name=a", "!a part ends within its headers"},
      {"--x\r\nContent-Disposition: form-data; name=a\r\n", "!a part ends within its headers"},
      {"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n", "!the last boundary is missing"},
      {FIELD("a", "b"), "!the last boundary is missing"},
      {FIELD("a", "b") "--x", "!a boundary is not followed by CRLF or --"},
      {FIELD("a", "b") "--x-", "!a boundary is not followed by CRLF or --"},
      {FIELD("a", "b") "--x\n", "!a boundary is not followed by CRLF or --"},
      {FIELD("a", "b") "--xy--", "!a boundary is not followed by CRLF or --"},
      {FIELD("a", "b") FIELD("c", "d") "--y--", "a=b;!the last boundary is missing"},
      {PART("Content-Type: text/plain", "b") END, "!a part has no Content-Disposition"},
      {"--x\r\n\r\nb\r\n" END, "!a part has no Content-Disposition"},
      {PART("Content-Disposition: form-data", "b") END, "!a part has no name"},
      {PART("Content-Disposition: form-data; filename=a", "b") END, "!a part has no name"},
      {PART("Content-Disposition: attachment; name=a", "b") END, "!the Content-Disposition of a part is not form-data"},
      {PART("Content-Disposition:", "b") END, "!the Content-Disposition of a part is not form-data"},
      {PART("Content-Disposition: form-data; name=a; name=b", "b") END, "!a part has two names or filenames"},
      {PART("Content-Disposition: form-data; name=a; filename=b; filename=c", "b") END, "!a part has two names or filenames"},
      {PART("Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b", "b") END,
       "!a part has two Content-Disposition headers"},
      {PART("Content-Disposition: form-data; name=\"a", "b") END, "!a parameter of Content-Disposition is malformed"},
      {PART("Content-Disposition: form-data; name=\"a\\\"", "b") END, "!a parameter of Content-Disposition is malformed"},
      {PART("Content-Disposition: form-data; name", "b") END, "!a parameter of Content-Disposition is malformed"},
      {PART("Content-Disposition: form-data; =a", "b") END, "!a parameter of Content-Disposition is malformed"},
      {PART("Content-Disposition: form-data; name=\"a\"b", "b") END, "!a parameter of Content-Disposition is malformed"},
      {PART("Content-Disposition: form-data; name=a\r\n b", "b") END, "!a header of a part is malformed"},
      {PART("Content-Disposition : form-data; name=a", "b") END, "!a header of a part is malformed"},
      {PART("no colon", "b") END, "!a header of a part is malformed"},
      {PART(": no name", "b") END, "!a header of a part is malformed"},
      {PART("Content-Disposition: form-data; name=a\rb", "b") END, "!a header of a part is malformed"},
      {"--x\r\nContent-Disposition: form-data; name=a\n\nb\r\n" END, "!a header of a part does not end in CRLF"},
      {PART("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64", "Yg==") END,
       "!the Content-Transfer-Encoding of a part is not supported"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const char *read = read_x(cases[i].body);
    if (strcmp(read, cases[i].read) != 0) fail_msg("%s\nwas read as %s", cases[i].body, read);
  }
}

/* A body that ends after any of its bytes is refused, and never read as more than it has. */
static void bodies_may_be_cut_anywhere(void **state) {
  (void)state;
  static const struct bytes body = BYTES(FIELD("a", "b") PART("Content-Disposition: form-data; name=c; filename=d", "e") "--x--");
  for (size_t len = 0; len < body.len; len++) {
    struct buffer out = {0};
    char *copy = memory_copy(body.ptr, len); /* so that a byte too far is found */
    read_all(bytes_of(copy, len), BYTES("x"), &out);
    if (bytes_find(buffer_bytes(&out), '!') == out.len) fail_msg("cut at %zu, it was read", len);
    memory_free(copy);
    buffer_deinit(&out);
  }
}

/* Content that looks like a boundary up to each of its bytes stays content. */
static void content_may_begin_like_a_boundary(void **state) {
  (void)state;
  static const struct bytes boundary = BYTES("-boundary-1"), line = BYTES("\r\n---boundary-1");
  for (size_t len = 0; len < line.len; len++) {
    struct buffer body = {0}, out = {0}, expected = {0};
    buffer_append_string(&body, "---boundary-1\r\nContent-Disposition: form-data; name=a\r\n\r\nx");
    buffer_append(&body, bytes_of(line.ptr, len));
    buffer_append(&body, line);
    buffer_append_string(&body, "--");
    buffer_append_string(&expected, "a=x");
    buffer_append(&expected, bytes_of(line.ptr, len));
    buffer_append_char(&expected, ';');
    read_all(buffer_bytes(&body), boundary, &out);
    assert_bytes(buffer_bytes(&out), buffer_bytes(&expected));
    buffer_deinit(&body);
    buffer_deinit(&out);
    buffer_deinit(&expected);
  }
}

static void headers_are_bounded(void **state) {
  (void)state;
  static const size_t lens[] = {100, 8000, 8130, 8200, 100000};
  for (size_t i = 0; i < COUNT_OF(lens); i++) {
    struct buffer body = {0}, out = {0};
    buffer_append_string(&body, "--x\r\nContent-Disposition: form-data; name=\"");
    for (size_t k = 0; k < lens[i]; k++) buffer_append_char(&body, 'n');
    buffer_append_string(&body, "\"\r\n\r\nb\r\n--x--");
    read_all(buffer_bytes(&body), BYTES("x"), &out);
    bool fits = lens[i] <= 8130;
    if (fits) assert_int_equal(out.len, lens[i] + 3);
    if (!fits) assert_bytes_string(buffer_bytes(&out), "!the headers of a part exceed 8192 bytes");
    buffer_deinit(&body);
    buffer_deinit(&out);
  }
}

static bool read_one(void *context) {
  (void)context;
  struct multipart multipart = {.rest = BYTES(PART("Content-Disposition: form-data; name=a; filename=b", "c") END),
                                .boundary = BYTES("x")};
  struct multipart_part part;
  const char *fault = NULL;
  multipart_part_init(&part);
  assert_int_equal(multipart_next(&multipart, &part, &fault), 1);
  bool ok = !part.name.failed && !part.filename.failed;
  multipart_part_deinit(&part);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(read_one, NULL) > 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(boundaries_are_found),
                                     TEST(parts_are_read),
                                     TEST(malformed_bodies_are_refused),
                                     TEST(bodies_may_be_cut_anywhere),
                                     TEST(content_may_begin_like_a_boundary),
                                     TEST(headers_are_bounded),
                                     TEST(stands_failing_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
