// Fan-out with the npm package socket.io, over WebSockets: a room, and an event that publishes to it.

import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
// The load generator does not answer pings.
const io = new Server(http, { transports: ["websocket"], pingInterval: 3600e3, perMessageDeflate: false });

io.on("connection", (socket) => {
  socket.on("subscribe", () => socket.join("live"));
  socket.on("publish", (text) => io.to("live").emit("m", text));
});

http.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => console.log(`listening on http://127.0.0.1:${http.address().port}`));
