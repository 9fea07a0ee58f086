#include "app/config/mount.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "app/config.h"
#include "base/error.h"
#include "base/memory.h"
#include "codec/http/http_head.h"

void mount_deinit(struct mount *mount) {
  memory_free(mount->path);
  memory_free(mount->directory);
  memory_free(mount->fallback);
  memory_free(mount->cache);
  http_fields_deinit(&mount->fields);
}

/* Returns what is wrong with the fallback, or NULL. */
static const char *fallback_fault(const char *directory, const char *fallback) {
  char path[4096];
  struct stat file;
  int len = snprintf(path, sizeof path, "%s/%s", directory, fallback);
  bool leaves = fallback[0] == '/' || fallback[0] == '.' || strstr(fallback, "/.");
  if (leaves || len < 0 || (size_t)len >= sizeof path) return "the fallback must be the path of a file in the directory";
  if (stat(path, &file) < 0 || !S_ISREG(file.st_mode)) return "the fallback is not a file of the directory";
  return NULL;
}

/* Fields of a file that the server sets itself, besides those of every answer. */
static bool is_own_field(struct bytes name) {
  static const struct bytes own[] = {
      {"content-type", 12}, {"content-encoding", 16}, {"content-range", 13}, {"accept-ranges", 13},
      {"etag", 4},          {"last-modified", 13},    {"cache-control", 13}, {"x-content-type-options", 22}};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    if (bytes_equal_nocase(name, own[i])) return true;
  }
  return http_field_is_reserved(name);
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Appends a field. Returns what is wrong with it, or NULL. */
static const char *add_field(struct http_fields *fields, struct bytes name, struct bytes value) {
  if (http_token_valid(name) && is_own_field(name)) return "this header is set by the server itself";
  if (http_fields_have(fields, name)) return "this header is there twice";
  if (value.len > 0 && (is_blank(value.ptr[0]) || is_blank(value.ptr[value.len - 1]))) {
    return "the value of this header must not begin or end with a space";
  }
  if (!http_token_valid(name)) return "the name of a header must be letters, digits, and !#$%&'*+-.^_`|~";
  if (!http_fields_add(fields, name, value)) return "the value of this header must not have control characters";
  return fields->text.len > MOUNT_FIELDS_MAX ? "the headers exceed 8 KiB with this one" : NULL;
}

/* Reads the fields of the options. MW_EINVAL, MW_ENOMEM. */
static int fields_read(const struct mw_static_options *options, struct http_fields *fields, struct mw_error *error) {
  for (size_t i = 0; options && i < options->field_count; i++) {
    struct bytes name = bytes_of(options->fields[i].name.ptr, options->fields[i].name.len);
    const char *fault = add_field(fields, name, bytes_of(options->fields[i].value.ptr, options->fields[i].value.len));
    if (!fault) continue;
    return error_set(error, MW_EINVAL, "\"%.*s\": %s", (int)(name.len < 100 ? name.len : 100), name.ptr, fault);
  }
  return fields->text.failed ? MW_ENOMEM : 0;
}

static char *cache_of(const struct mw_static_options *options) {
  char text[64];
  if (options->is_immutable) {
    snprintf(text, sizeof text, "max-age=31536000, immutable");
  } else {
    snprintf(text, sizeof text, "max-age=%llu", (unsigned long long)options->cache_s);
  }
  return memory_copy(text, strlen(text));
}

/* Copies the strings of a mount, which may fail in part. Leaves it without fields. */
static bool mount_init(struct mount *mount, struct bytes path, const char *directory, const struct mw_static_options *options) {
  char *resolved = realpath(directory, NULL);
  bool has_cache = options && (options->is_immutable || options->cache_s > 0);
  *mount = (struct mount){.path = memory_copy(path.ptr, path.len),
                          .directory = resolved ? memory_copy(resolved, strlen(resolved)) : NULL};
  free(resolved);
  http_fields_init(&mount->fields);
  if (options && options->fallback) mount->fallback = memory_copy(options->fallback, strlen(options->fallback));
  if (has_cache) mount->cache = cache_of(options);
  return mount->path && mount->directory && (!options || !options->fallback || mount->fallback) && (!has_cache || mount->cache);
}

/* Makes room for another mount. */
static struct mount *mounts_extend(const struct mw_config *config) {
  size_t count = config->mount_count;
  if ((count & (count - 1)) != 0) return config->mounts;
  return memory_realloc(config->mounts, (count > 0 ? count * 2 : 1) * sizeof *config->mounts);
}

int mw_config_static(struct mw_config *config, const char *path, const char *directory, const struct mw_static_options *options,
                     struct mw_error *error) {
  struct stat file;
  size_t len = strlen(path);
  if (path[0] != '/') return error_set(error, MW_EINVAL, "%.120s: a path must begin with \"/\"", path);
  if (stat(directory, &file) < 0 || !S_ISDIR(file.st_mode)) {
    return error_set(error, MW_EINVAL, "%.120s: not a directory", directory);
  }
  const char *fault = options && options->fallback ? fallback_fault(directory, options->fallback) : NULL;
  if (fault) return error_set(error, MW_EINVAL, "%.120s: %.120s", options->fallback, fault);
  while (len > 0 && path[len - 1] == '/') len--;
  for (size_t i = 0; i < config->mount_count; i++) {
    struct bytes other = bytes_string(config->mounts[i].path);
    if (bytes_equal(other, bytes_of(path, len)))
      return error_set(error, MW_EOVERLAP, "%.120s: already served from another directory", path);
  }
  struct mount *mounts = mounts_extend(config);
  if (!mounts) return error_set(error, MW_ENOMEM, "%.120s: out of memory", path);
  config->mounts = mounts;
  struct mount mount;
  int status =
      mount_init(&mount, bytes_of(path, len), directory, options) ? fields_read(options, &mount.fields, error) : MW_ENOMEM;
  if (status < 0) {
    mount_deinit(&mount);
    return status == MW_ENOMEM ? error_set(error, status, "%.120s: out of memory", path) : status;
  }
  mounts[config->mount_count++] = mount;
  return 0;
}
