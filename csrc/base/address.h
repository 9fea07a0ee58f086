/* Where something lives that other threads send mail to. An address can outlive what it names. */
#ifndef MOONWIRE_BASE_ADDRESS_H
#define MOONWIRE_BASE_ADDRESS_H

#include <stdint.h>

/* All zero: nothing has this address. */
struct address {
  uint32_t worker, slot, generation;
};

#endif
