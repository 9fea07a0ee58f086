/* Status codes inside the core: those of the public header. Only here does base include it. */
#ifndef MOONWIRE_BASE_STATUS_H
#define MOONWIRE_BASE_STATUS_H

#include "moonwire.h"

#endif
