#include "transport/roles.h"

#include "http/files.h"

const struct router transport_router = {
    .endpoints =
        {
            [ENDPOINT_SSE] = {.role = &sse_role, .method = "GET", .other = "HEAD", .takes_no_body = true, .is_shared = true},
            [ENDPOINT_WS] = {.role = &websocket_role, .method = "GET", .other = "HEAD", .takes_no_body = true},
            [ENDPOINT_SEND] = {.role = &send_role, .method = "POST", .needs_length = true, .is_shared = true},
            [ENDPOINT_PUBLISH] = {.role = &publish_role, .method = "POST", .needs_length = true},
            [ENDPOINT_HEALTH] = {.role = &health_role, .method = "GET", .other = "HEAD"},
            [ENDPOINT_READY] = {.role = &ready_role, .method = "GET", .other = "HEAD"},
            [ENDPOINT_POLL] = {.role = &poll_role, .method = "GET", .other = "HEAD", .takes_no_body = true, .is_shared = true},
            [ENDPOINT_CLIENT] = {.role = &client_script_role, .method = "GET", .other = "HEAD"},
        },
    .route = &routes_role,
    .websocket = &raw_websocket_role,
    .file = &files_role,
    .options = &options_role,
};
