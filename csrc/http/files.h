/* Static files below the app's mounts. */
#ifndef MOONWIRE_HTTP_FILES_H
#define MOONWIRE_HTTP_FILES_H

#include "http/role.h"

VISIBILITY_PUSH

extern const struct role files_role;

VISIBILITY_POP

#endif
