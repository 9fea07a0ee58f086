#include "auth/jwk_set.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/log_limit.h"
#include "base/memory.h"

/* ---- The set --------------------------------------------------------------------------------- */

void jwk_set_deinit(struct jwk_set *set) {
  for (size_t i = 0; i < set->count; i++) jwk_deinit(&set->keys[i]);
  memory_free(set->keys);
  *set = (struct jwk_set){0};
}

static int read_keys(struct jwk_set *set, const json_t *list, unsigned allowed, struct mw_error *error) {
  const json_t *item;
  size_t i;
  json_array_foreach(list, i, item) {
    struct mw_error fault = {""};
    int status = jwk_init_json(&set->keys[set->count], item, allowed, &fault);
    if (status == MW_ENOTFOUND) continue;
    if (status < 0) {
      return error_set(error, status, "key %zu: %.200s", i + 1, fault.text);
    }
    set->count++;
  }
  return set->count > 0 ? 0 : error_set(error, MW_EINVAL, "no key is for verifying tokens with an allowed algorithm");
}

int jwk_set_read(struct jwk_set *set, struct bytes json, unsigned allowed, struct mw_error *error) {
  json_error_t fault;
  *set = (struct jwk_set){0};
  json_t *root = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, &fault);
  if (!root) {
    return error_set(error, MW_EINVAL, "not a JWK set: line %d: %.120s", fault.line, fault.text);
  }
  const json_t *list = json_object_get(root, "keys");
  size_t count = json_array_size(list);
  int status;
  if (!json_is_array(list)) {
    status = error_set(error, MW_EINVAL, "not a JWK set: an object with a list \"keys\" is required");
  } else if (count > JWK_SET_MAX) {
    status = error_set(error, MW_EINVAL, "more than 100 keys");
  } else {
    set->keys = memory_calloc(count + 1, sizeof *set->keys);
    status = set->keys ? read_keys(set, list, allowed, error) : error_set(error, MW_ENOMEM, "out of memory");
  }
  json_decref(root);
  if (status < 0) jwk_set_deinit(set);
  return status;
}

const struct jwk *jwk_set_find(const struct jwk_set *set, struct bytes kid, enum jwk_algorithm algorithm) {
  const struct jwk *found = NULL;
  if (algorithm == JWK_ALGORITHM_NONE) return NULL;
  for (size_t i = 0; i < set->count; i++) {
    const struct jwk *key = &set->keys[i];
    if (!(key->algorithms & 1U << algorithm)) continue;
    if (kid.ptr && !(key->kid && bytes_equal(bytes_string(key->kid), kid))) continue;
    if (found) return NULL;
    found = key;
  }
  return found;
}

/* ---- The file -------------------------------------------------------------------------------- */

/* Notes which version of the file is read. True if it is another one than before. */
static bool note_version(struct jwk_file *file, const struct stat *status) {
  struct jwk_file before = *file;
  file->changed_s = status->st_mtim.tv_sec;
  file->changed_ns = status->st_mtim.tv_nsec;
  file->size = status->st_size;
  file->inode = status->st_ino;
  return before.changed_s != file->changed_s || before.changed_ns != file->changed_ns || before.size != file->size ||
         before.inode != file->inode;
}

static int read_stream(FILE *stream, struct buffer *text, struct mw_error *error) {
  char chunk[4096];
  size_t len;
  while ((len = fread(chunk, 1, sizeof chunk, stream)) > 0) {
    buffer_append(text, bytes_of(chunk, len));
    if (text->len > JWK_FILE_MAX) return error_set(error, MW_EINVAL, "the file is larger than 1 MiB");
  }
  if (ferror(stream)) return error_set(error, -EIO, "%s", strerror(EIO));
  return text->failed ? error_set(error, MW_ENOMEM, "out of memory") : 0;
}

static int load(const struct jwk_file *file, struct jwk_set *set, unsigned allowed, struct mw_error *error) {
  struct buffer text;
  FILE *stream = fopen(file->path, "rb");
  if (!stream) {
    int status = -errno;
    return error_set(error, status, "%s", strerror(-status));
  }
  buffer_init(&text);
  int status = read_stream(stream, &text, error);
  if (status == 0) status = jwk_set_read(set, buffer_bytes(&text), allowed, error);
  fclose(stream);
  buffer_deinit(&text);
  return status;
}

void jwk_file_deinit(struct jwk_file *file) {
  memory_free(file->path);
  file->path = NULL;
}

int jwk_file_init(struct jwk_file *file, const char *path, uint64_t now_ms, struct jwk_set *set, unsigned allowed,
                  struct mw_error *error) {
  struct stat info;
  *file = (struct jwk_file){.path = memory_copy(path, strlen(path)), .checked_ms = now_ms};
  if (!file->path) return error_set(error, MW_ENOMEM, "out of memory");
  if (stat(path, &info) == 0) note_version(file, &info);
  int status = load(file, set, allowed, error);
  if (status < 0) jwk_file_deinit(file);
  return status;
}

void jwk_file_refresh(struct jwk_file *file, uint64_t now_ms, struct jwk_set *set, unsigned allowed) {
  struct mw_error error = {""};
  struct jwk_set fresh;
  struct stat info;
  uint64_t since_ms = now_ms > file->checked_ms ? now_ms - file->checked_ms : file->checked_ms - now_ms;
  if (since_ms < 1000) return;
  file->checked_ms = now_ms;
  /* While it is being replaced, it may be missing. */
  if (stat(file->path, &info) != 0 || !note_version(file, &info)) return;
  if (load(file, &fresh, allowed, &error) < 0) {
    log_limited(MW_LOG_WARNING, "kept the earlier keys for tokens: %s cannot be read: %s", file->path, error.text);
    return;
  }
  jwk_set_deinit(set);
  *set = fresh;
  log_limited(MW_LOG_INFO, "read the keys for tokens again: %s (keys=%zu)", file->path, set->count);
}
