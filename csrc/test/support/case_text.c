#include "test/support/case_text.h"

#include <stdlib.h>

#include "test/support.h"

bool case_text_line(struct bytes *text, struct bytes *line) {
  if (text->len == 0) return false;
  size_t len = bytes_find(*text, '\n'), taken = len < text->len ? len + 1 : len;
  *line = bytes_of(text->ptr, len);
  *text = bytes_of(text->ptr + taken, text->len - taken);
  return true;
}

struct bytes case_text_word(struct bytes *line) {
  size_t begin = 0, end;
  bool quoted = false;
  while (begin < line->len && line->ptr[begin] == ' ') begin++;
  for (end = begin; end < line->len && (quoted || line->ptr[end] != ' '); end++) {
    if (line->ptr[end] == '\\') {
      end++;
    } else if (line->ptr[end] == '"') {
      quoted = !quoted;
    }
  }
  if (end > line->len) end = line->len;
  struct bytes word = bytes_of(line->ptr + begin, end - begin);
  *line = bytes_of(line->ptr + end, line->len - end);
  return word;
}

bool case_text_take(struct bytes *line, const char *word) {
  struct bytes rest = *line;
  if (!bytes_equal(case_text_word(&rest), bytes_string(word))) return false;
  *line = rest;
  return true;
}

void case_text_unquote(struct buffer *out, struct bytes text) {
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] == '\\' && i + 3 < text.len && text.ptr[i + 1] == 'x') {
      char digits[3] = {text.ptr[i + 2], text.ptr[i + 3], 0};
      buffer_append_char(out, (char)strtoul(digits, NULL, 16));
      i += 3;
    } else {
      if (text.ptr[i] == '\\' && i + 1 < text.len) i++;
      buffer_append_char(out, text.ptr[i]);
    }
  }
}

void case_text_refuse(struct bytes text, struct bytes line) {
  fail_msg("not understood: \"%.*s\" of\n%.*s", (int)line.len, line.ptr, (int)text.len, text.ptr);
}

/* ---- Values of "each" ------------------------------------------------------------------------ */

static void replace(struct buffer *out, struct bytes text, struct bytes name, struct bytes value) {
  while (text.len > 0) {
    size_t at = bytes_find(text, '$'), after = at + 1 + name.len;
    bool found = after <= text.len && bytes_equal(bytes_of(text.ptr + at + 1, name.len), name);
    size_t taken = found ? after : at < text.len ? at + 1 : at;
    buffer_append(out, bytes_of(text.ptr, found ? at : taken));
    if (found) buffer_append(out, value);
    text = bytes_of(text.ptr + taken, text.len - taken);
  }
}

/* Splits the first line of values off a case. Returns false if it has none. */
static bool take_values(struct bytes text, struct bytes *values, struct buffer *others) {
  bool found = false;
  for (struct bytes line; case_text_line(&text, &line);) {
    if (!found && case_text_take(&line, "each")) {
      found = true;
      *values = line;
      continue;
    }
    buffer_append(others, line);
    buffer_append_char(others, '\n');
  }
  return found;
}

static size_t expand(struct bytes text, bool unquote, case_run *run, void *context) {
  struct buffer others = {0};
  struct bytes values;
  size_t count = 0;
  if (!take_values(text, &values, &others)) {
    run(text, context);
    count = 1;
  } else {
    struct bytes name = case_text_word(&values);
    for (struct bytes value; (value = case_text_word(&values)).len > 0;) {
      struct buffer one = {0}, plain = {0};
      if (unquote && value.ptr[0] == '"') {
        case_text_unquote(&plain, bytes_of(value.ptr + 1, value.len - 2));
        value = buffer_bytes(&plain);
      }
      replace(&one, buffer_bytes(&others), name, value);
      count += expand(buffer_bytes(&one), unquote, run, context);
      buffer_deinit(&one);
      buffer_deinit(&plain);
    }
  }
  buffer_deinit(&others);
  return count;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void read_file(struct buffer *out, const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fail_msg("%s is not there: tests run in the root of the tree", path);
  char part[4096];
  for (size_t len; (len = fread(part, 1, sizeof part, file)) > 0;) buffer_append(out, bytes_of(part, len));
  fclose(file);
}

size_t case_text_run(const char *path, bool unquote, case_run *run, void *context) {
  struct buffer file = {0}, paragraph = {0};
  size_t count = 0;
  read_file(&file, path);
  struct bytes text = buffer_bytes(&file), line;
  for (bool more = true; more;) {
    more = case_text_line(&text, &line);
    if (more && line.len > 0 && line.ptr[0] == '#') continue;
    if (more && line.len > 0) {
      buffer_append(&paragraph, line);
      buffer_append_char(&paragraph, '\n');
    } else if (paragraph.len > 0) {
      count += expand(buffer_bytes(&paragraph), unquote, run, context);
      buffer_clear(&paragraph);
    }
  }
  buffer_deinit(&file);
  buffer_deinit(&paragraph);
  return count;
}
