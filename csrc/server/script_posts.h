/* How the rooms below server/ reach the script (app/app.h). */
#ifndef MOONWIRE_SERVER_SCRIPT_POSTS_H
#define MOONWIRE_SERVER_SCRIPT_POSTS_H

#include "app/app.h"

VISIBILITY_PUSH

extern const struct script_posts server_script_posts;

VISIBILITY_POP

#endif
