/* Forms that pages post: mw_form_read. */

#include "base/array.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "codec/http/multipart.h"
#include "codec/http/query.h"
#include "moonwire.h"

/* Where the strings of a field are in `text`, while that may still move. */
struct form_place {
  size_t name, value, filename; /* offsets */
  bool is_decoded;              /* the value is in `text` */
};

struct mw_form {
  struct buffer text; /* names, filenames, and decoded values */
  struct mw_form_field *fields;
  struct form_place *places;
  uint32_t field_capacity, place_capacity;
  size_t count;
};

static size_t add_text(struct mw_form *form, struct bytes text) {
  size_t at = form->text.len;
  buffer_append(&form->text, text);
  return at;
}

/* Returns room for another field, or NULL: out of memory, or too many. */
static struct mw_form_field *add_field(struct mw_form *form) {
  size_t needed = form->count + 1;
  void *fields = array_reserve(form->fields, sizeof *form->fields, &form->field_capacity, needed, MW_FORM_FIELDS_MAX);
  if (fields) form->fields = fields;
  void *places = array_reserve(form->places, sizeof *form->places, &form->place_capacity, needed, MW_FORM_FIELDS_MAX);
  if (places) form->places = places;
  if (!fields || !places) return NULL;
  form->places[form->count] = (struct form_place){0};
  form->fields[form->count] = (struct mw_form_field){.is_file = false};
  return &form->fields[form->count++];
}

static int no_room(const struct mw_form *form, struct mw_error *error) {
  if (form->count < MW_FORM_FIELDS_MAX) return error_set(error, MW_ENOMEM, "out of memory");
  return error_set(error, MW_ELIMIT, "the form has more than %d fields", (int)MW_FORM_FIELDS_MAX);
}

static int read_urlencoded(struct mw_form *form, struct bytes body, struct mw_error *error) {
  struct buffer name, value;
  int status = 0;
  buffer_init(&name);
  buffer_init(&value);
  while (status == 0 && query_next(&body, &name, &value)) {
    struct mw_form_field *field = name.failed || value.failed ? NULL : add_field(form);
    if (!field) {
      status = no_room(form, error);
      break;
    }
    struct form_place *place = &form->places[form->count - 1];
    place->is_decoded = true;
    place->name = add_text(form, buffer_bytes(&name));
    place->value = add_text(form, buffer_bytes(&value));
    field->name.len = name.len;
    field->value.len = value.len;
  }
  buffer_deinit(&name);
  buffer_deinit(&value);
  return status;
}

static int add_part(struct mw_form *form, const struct multipart_part *part, struct mw_error *error) {
  struct mw_form_field *field = part->name.failed || part->filename.failed ? NULL : add_field(form);
  if (!field) return no_room(form, error);
  struct form_place *place = &form->places[form->count - 1];
  place->name = add_text(form, buffer_bytes(&part->name));
  place->filename = add_text(form, buffer_bytes(&part->filename));
  field->name.len = part->name.len;
  field->filename.len = part->filename.len;
  field->is_file = part->is_file;
  field->value = (struct mw_bytes){part->content.ptr, part->content.len};
  field->content_type = (struct mw_bytes){part->type.ptr, part->type.len};
  return 0;
}

static int read_multipart(struct mw_form *form, struct bytes body, struct bytes boundary, struct mw_error *error) {
  struct multipart multipart = {.rest = body, .boundary = boundary};
  struct multipart_part part;
  const char *fault = NULL;
  int status = 0, next = 0;
  multipart_part_init(&part);
  while (status == 0 && (next = multipart_next(&multipart, &part, &fault)) == 1) status = add_part(form, &part, error);
  multipart_part_deinit(&part);
  return status == 0 && next < 0 ? error_set(error, MW_EINVAL, "%s", fault) : status;
}

/* The text does not move any more. */
static void place_text(struct mw_form *form) {
  for (size_t i = 0; i < form->count; i++) {
    const struct form_place *place = &form->places[i];
    struct mw_form_field *field = &form->fields[i];
    field->name.ptr = form->text.data + place->name;
    if (place->is_decoded) field->value.ptr = form->text.data + place->value;
    if (field->is_file) field->filename.ptr = form->text.data + place->filename;
  }
}

static struct bytes content_type_of(const struct mw_http *http) {
  struct bytes found = bytes_of(NULL, 0);
  for (size_t i = 0; i < http->field_count; i++) {
    struct bytes name = bytes_of(http->fields[i].name.ptr, http->fields[i].name.len);
    if (bytes_equal_nocase(name, BYTES("content-type"))) found = bytes_of(http->fields[i].value.ptr, http->fields[i].value.len);
  }
  return found;
}

static int read_form(struct mw_form *form, const struct mw_http *http, struct mw_error *error) {
  buffer_append_char(&form->text, '\0'); /* even an empty name has a pointer */
  struct bytes type = content_type_of(http), body = bytes_of(http->body.ptr, http->body.len);
  struct bytes essence = bytes_trim(bytes_of(type.ptr, bytes_find(type, ';')));
  if (bytes_equal_nocase(essence, BYTES("application/x-www-form-urlencoded"))) return read_urlencoded(form, body, error);
  if (!bytes_equal_nocase(essence, BYTES("multipart/form-data"))) {
    return error_set(error, MW_EINVAL,
                     "not a form: the content type must be application/x-www-form-urlencoded or multipart/form-data");
  }
  struct buffer boundary;
  buffer_init(&boundary);
  int status = 0;
  if (!multipart_boundary(type, &boundary)) {
    status = error_set(error, MW_EINVAL, "the content type has no valid boundary");
  } else if (boundary.failed) {
    status = error_set(error, MW_ENOMEM, "out of memory");
  } else {
    status = read_multipart(form, body, buffer_bytes(&boundary), error);
  }
  buffer_deinit(&boundary);
  return status;
}

int mw_form_read(struct mw_form **out, const struct mw_http *http, struct mw_error *error) {
  struct mw_form *form = memory_calloc(1, sizeof *form);
  int status = form ? read_form(form, http, error) : error_set(error, MW_ENOMEM, "out of memory");
  if (status == 0 && form->text.failed) status = error_set(error, MW_ENOMEM, "out of memory");
  if (status < 0) {
    mw_form_free(form);
    return status;
  }
  place_text(form);
  *out = form;
  return 0;
}

const struct mw_form_field *mw_form_field(const struct mw_form *form, size_t i) {
  return i < form->count ? &form->fields[i] : NULL;
}

void mw_form_free(struct mw_form *form) {
  if (!form) return;
  buffer_deinit(&form->text);
  memory_free(form->fields);
  memory_free(form->places);
  memory_free(form);
}
