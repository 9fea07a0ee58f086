/* How the rooms below server/ reach the script and the workers (app/app.h). */
#ifndef MOONWIRE_SERVER_POSTS_H
#define MOONWIRE_SERVER_POSTS_H

#include "app/app.h"

VISIBILITY_PUSH

extern const struct script_posts server_script_posts;
extern const struct worker_posts server_worker_posts;

VISIBILITY_POP

#endif
