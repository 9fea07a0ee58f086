/* A directory whose files are served under a path (mw_config_static). */
#ifndef MOONWIRE_APP_CONFIG_MOUNT_H
#define MOONWIRE_APP_CONFIG_MOUNT_H

#include "codec/http/http_fields.h"

VISIBILITY_PUSH

/* Bytes of all header fields of a mount, names and values. */
enum { MOUNT_FIELDS_MAX = 8192 };

struct mount {
  char *path; /* without a '/' at the end: "" is the root */
  char *directory;
  char *fallback;            /* a file of the directory; NULL: none */
  char *cache;               /* Cache-Control of files other than pages; NULL: "no-cache" */
  struct http_fields fields; /* sent with every file */
};

/* Frees what a mount owns. */
void mount_deinit(struct mount *mount);

VISIBILITY_POP

#endif
