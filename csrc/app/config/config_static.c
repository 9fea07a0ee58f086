/* The part of a configuration that serves files: mw_config_static. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "app/config.h"
#include "base/memory.h"

static int config_static_fail(struct mw_error *error, int status, const char *what, const char *why) {
  if (error) snprintf(error->text, sizeof error->text, "%.120s: %.120s", what, why);
  return status;
}

void config_mount_deinit(struct mount *mount) {
  memory_free(mount->path);
  memory_free(mount->directory);
  memory_free(mount->fallback);
  memory_free(mount->cache);
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

static char *cache_of(const struct mw_static_options *options) {
  char text[64];
  if (options->is_immutable) {
    snprintf(text, sizeof text, "max-age=31536000, immutable");
  } else {
    snprintf(text, sizeof text, "max-age=%llu", (unsigned long long)options->cache_s);
  }
  return memory_copy(text, strlen(text));
}

/* Copies the strings of a mount, which may fail in part. */
static bool mount_init(struct mount *mount, struct bytes path, const char *directory, const struct mw_static_options *options) {
  char *resolved = realpath(directory, NULL);
  bool has_cache = options && (options->is_immutable || options->cache_s > 0);
  *mount = (struct mount){.path = memory_copy(path.ptr, path.len),
                          .directory = resolved ? memory_copy(resolved, strlen(resolved)) : NULL};
  free(resolved);
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
  if (path[0] != '/') return config_static_fail(error, MW_EINVAL, path, "a path must begin with \"/\"");
  if (stat(directory, &file) < 0 || !S_ISDIR(file.st_mode)) {
    return config_static_fail(error, MW_EINVAL, directory, "not a directory");
  }
  const char *fault = options && options->fallback ? fallback_fault(directory, options->fallback) : NULL;
  if (fault) return config_static_fail(error, MW_EINVAL, options->fallback, fault);
  while (len > 0 && path[len - 1] == '/') len--;
  for (size_t i = 0; i < config->mount_count; i++) {
    struct bytes other = bytes_string(config->mounts[i].path);
    if (bytes_equal(other, bytes_of(path, len)))
      return config_static_fail(error, MW_EOVERLAP, path, "already served from another directory");
  }
  struct mount *mounts = mounts_extend(config);
  if (!mounts) return config_static_fail(error, MW_ENOMEM, path, "out of memory");
  config->mounts = mounts;
  struct mount mount;
  if (!mount_init(&mount, bytes_of(path, len), directory, options)) {
    config_mount_deinit(&mount);
    return config_static_fail(error, MW_ENOMEM, path, "out of memory");
  }
  mounts[config->mount_count++] = mount;
  return 0;
}
