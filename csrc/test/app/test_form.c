#include "base/buffer.h"
#include "base/memory.h"
#include "moonwire.h"
#include "test/support.h"

#define MULTIPART "multipart/form-data; boundary=x"
#define URLENCODED "application/x-www-form-urlencoded"

static int read_form(const char *type, struct bytes body, struct mw_form **form, struct mw_error *error) {
  struct mw_http_field field = {.name = {"Content-Type", 12}, .value = {type, type ? strlen(type) : 0}};
  struct mw_http http = {.body = {body.ptr, body.len}, .fields = &field, .field_count = type ? 1 : 0};
  return mw_form_read(form, &http, error);
}

static void assert_field(const struct mw_form_field *field, const char *name, const char *value) {
  assert_non_null(field);
  assert_bytes_string(bytes_of(field->name.ptr, field->name.len), name);
  assert_bytes_string(bytes_of(field->value.ptr, field->value.len), value);
}

static void reads_what_pages_send(void **state) {
  (void)state;
  struct mw_form *form;
  assert_int_equal(read_form(URLENCODED "; charset=utf-8", BYTES("a=b+c%21&a=&=d&e"), &form, NULL), 0);
  assert_field(mw_form_field(form, 0), "a", "b c!");
  assert_field(mw_form_field(form, 1), "a", "");
  assert_field(mw_form_field(form, 2), "", "d");
  assert_field(mw_form_field(form, 3), "e", "");
  assert_null(mw_form_field(form, 4));
  mw_form_free(form);
  assert_int_equal(
      read_form(MULTIPART,
                BYTES("--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n"
                      "--x\r\nContent-Disposition: form-data; name=c; filename=d\r\nContent-Type: e\r\n\r\nf\r\n--x--"),
                &form, NULL),
      0);
  assert_field(mw_form_field(form, 0), "a", "b");
  assert_false(mw_form_field(form, 0)->is_file);
  const struct mw_form_field *file = mw_form_field(form, 1);
  assert_field(file, "c", "f");
  assert_true(file->is_file);
  assert_bytes_string(bytes_of(file->filename.ptr, file->filename.len), "d");
  assert_bytes_string(bytes_of(file->content_type.ptr, file->content_type.len), "e");
  assert_null(mw_form_field(form, 2));
  mw_form_free(form);
  assert_int_equal(read_form(URLENCODED, bytes_of(NULL, 0), &form, NULL), 0);
  assert_null(mw_form_field(form, 0));
  mw_form_free(form);
  mw_form_free(NULL);
}

static void says_what_is_wrong(void **state) {
  (void)state;
  static const struct {
    const char *type, *body, *text;
  } cases[] = {
      {NULL, "a=b", "not a form: the content type must be application/x-www-form-urlencoded or multipart/form-data"},
      {"", "a=b", "not a form: the content type must be application/x-www-form-urlencoded or multipart/form-data"},
      {"application/json", "{}", "not a form: the content type must be application/x-www-form-urlencoded or multipart/form-data"},
      {"text/plain", "a=b", "not a form: the content type must be application/x-www-form-urlencoded or multipart/form-data"},
      {"multipart/form-data", "--x--", "the content type has no valid boundary"},
      {"multipart/form-data; boundary=\"\"", "--x--", "the content type has no valid boundary"},
      {MULTIPART, "", "the first boundary is missing"},
      {MULTIPART, "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n", "the last boundary is missing"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct mw_form *form = NULL;
    struct mw_error error = {""};
    assert_int_equal(read_form(cases[i].type, bytes_string(cases[i].body), &form, &error), MW_EINVAL);
    assert_string_equal(error.text, cases[i].text);
    assert_int_equal(read_form(cases[i].type, bytes_string(cases[i].body), &form, NULL), MW_EINVAL);
    assert_null(form);
  }
}

static void fields_are_counted(void **state) {
  (void)state;
  struct buffer body = {0}, parts = {0};
  struct mw_error error = {""};
  struct mw_form *form;
  for (int i = 0; i < MW_FORM_FIELDS_MAX; i++) {
    buffer_append_string(&body, "a=b&");
    buffer_append_string(&parts, "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n");
  }
  size_t len = parts.len;
  buffer_append_string(&parts, "--x--");
  assert_int_equal(read_form(URLENCODED, buffer_bytes(&body), &form, NULL), 0);
  assert_field(mw_form_field(form, MW_FORM_FIELDS_MAX - 1), "a", "b");
  mw_form_free(form);
  assert_int_equal(read_form(MULTIPART, buffer_bytes(&parts), &form, NULL), 0);
  assert_field(mw_form_field(form, MW_FORM_FIELDS_MAX - 1), "a", "b");
  mw_form_free(form);
  buffer_append_string(&body, "c=d");
  parts.len = len;
  buffer_append_string(&parts, "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--");
  assert_int_equal(read_form(URLENCODED, buffer_bytes(&body), &form, &error), MW_ELIMIT);
  assert_string_equal(error.text, "the form has more than 1000 fields");
  assert_int_equal(read_form(MULTIPART, buffer_bytes(&parts), &form, &error), MW_ELIMIT);
  buffer_deinit(&body);
  buffer_deinit(&parts);
}

static bool read_two(void *context) {
  (void)context;
  struct mw_form *form;
  int status = read_form(URLENCODED, BYTES("a=b&c=d"), &form, NULL);
  if (status == 0) {
    mw_form_free(form);
    status =
        read_form(MULTIPART, BYTES("--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nb\r\n--x--"), &form, NULL);
    if (status == 0) mw_form_free(form);
  }
  assert_true(status == 0 || status == MW_ENOMEM);
  return status == 0;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(read_two, NULL) > 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(reads_what_pages_send), TEST(says_what_is_wrong), TEST(fields_are_counted),
                                     TEST(stands_failing_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
