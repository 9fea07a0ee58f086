/* The worker's half of commands (app/command.h): carries out the app's calls for one client. On the
 * worker's thread. */
#ifndef MOONWIRE_SESSION_COMMAND_H
#define MOONWIRE_SESSION_COMMAND_H

#include "app/command.h"

VISIBILITY_PUSH

extern const struct mail_class session_command_class;

VISIBILITY_POP

#endif
