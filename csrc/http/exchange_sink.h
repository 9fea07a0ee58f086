/* The sink of an exchange: its subscriber receives on the stream of the connection (delivery/subscriber.h). */
#ifndef MOONWIRE_HTTP_EXCHANGE_SINK_H
#define MOONWIRE_HTTP_EXCHANGE_SINK_H

#include "delivery/subscriber.h"

VISIBILITY_PUSH

extern const struct sink_ops exchange_sink;

VISIBILITY_POP

#endif
