/* Clients of channels with presence, over WebSocket. */
#ifndef MOONWIRE_TEST_SUPPORT_MEMBER_PEER_H
#define MOONWIRE_TEST_SUPPORT_MEMBER_PEER_H

#include "test/support/memory_peer.h"

void member_peer_subscribe(struct memory_peer *peer, const char *channel);
/* Ends the connection, and has the server notice it. */
void member_peer_leave(struct memory_peer *peer, struct mw_server *server);
/* What the peer was told about members, in short: the next frame, which must be a push or an
 * acknowledgement. Returns "" if there is none. */
const char *member_peer_next(struct memory_peer *peer);
#define expect_next(peer, expected) assert_string_equal(member_peer_next(peer), expected)
/* Returns the number of members, as mw_channel_presence. */
size_t members_of(struct mw_server *server, const char *channel);

#endif
