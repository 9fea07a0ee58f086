/* The scripts that Redis runs (broker/scripts/NAME.lua). Their first lines state keys, arguments,
 * and answers. */
#ifndef MOONWIRE_BROKER_SCRIPTS_H
#define MOONWIRE_BROKER_SCRIPTS_H

#include "broker/link.h"

VISIBILITY_PUSH

enum broker_script {
  SCRIPT_BELL,
  SCRIPT_CONTROL,
  SCRIPT_GOODBYE,
  SCRIPT_HELLO,
  SCRIPT_LEASE,
  SCRIPT_MEMBERS,
  SCRIPT_PAGE,
  SCRIPT_PRESENCE,
  SCRIPT_PUBLISH,
  SCRIPT_REAP,
  SCRIPT_COUNT
};

/* One for each file of the directory. */
extern const struct link_script broker_scripts[SCRIPT_COUNT];

VISIBILITY_POP

#endif
