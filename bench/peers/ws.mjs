// Fan-out with the npm package ws: WebSockets on /ws, published over the WebSocket /publish.

import { WebSocketServer } from "ws";

const subscribers = new Set();
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 4096 });

server.on("connection", (socket, request) => {
  if (request.url !== "/publish") {
    subscribers.add(socket);
    socket.on("close", () => subscribers.delete(socket));
    return;
  }
  socket.on("message", (data) => {
    for (const subscriber of subscribers) subscriber.send(data, { binary: false });
  });
});

server.on("listening", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
