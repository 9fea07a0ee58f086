/* Status codes inside the core: those of the public header. The one place where base sees it. */
#ifndef MOONWIRE_BASE_STATUS_H
#define MOONWIRE_BASE_STATUS_H

#include "moonwire.h"

#endif
