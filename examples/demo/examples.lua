-- What the demo serves, in the order of its index. Each is a directory beside this one, whose app.lua
-- adds itself to the app that it receives. spec/browser/looks_spec.lua looks at the page of each.
--
--   pages   the pages that are looked at; default: the one at its path
--   icon    the path of a drawing in a square of 24

return {
  {
    name = "polling",
    title = "Polling, SSE, or WebSocket",
    transport = "all of them",
    shows = "One ticker, fetched by short polling, long polling, Server-Sent Events, and WebSocket, with "
      .. "the requests, bytes, and delays of each. Start here.",
    icon = "M4 19V9M9 19V5M14 19v-7M19 19v-4",
  },
  {
    name = "scoreboard",
    title = "Scoreboard",
    transport = "SSE",
    shows = "A thousand matches over one event stream. A spectator that reads too slowly receives the newest "
      .. "state of each match, and skips what was in between.",
    icon = "M3 6h18v12H3zM12 6v12M7 10v4M17 10v4",
  },
  {
    name = "ticker",
    title = "Ticker",
    transport = "SSE",
    shows = "Six prices as live line charts over one event stream. A new page starts with full charts. "
      .. "A page that was disconnected catches up without a gap.",
    icon = "M3 17l5-6 4 3 5-8 4 4",
  },
  {
    name = "chat",
    title = "Chat",
    transport = "WebSocket",
    shows = "Rooms with a history, presence, typing, and private messages. Open it in two windows.",
    icon = "M4 5h16v11H10l-4 4v-4H4z",
  },
  {
    name = "assistant",
    title = "Assistant",
    transport = "WebSocket",
    shows = "The tokens of a language model, here a fake. The answer continues after a reload, in other tabs, and "
      .. "after a network failure. The model is asked once.",
    icon = "M12 3l2 6 6 2-6 2-2 6-2-6-6-2 6-2z",
  },
  {
    name = "dashboard",
    title = "Dashboard",
    transport = "SSE",
    shows = "Live charts of this server: connections, messages, memory, and how busy its script is. A new page "
      .. "receives the last two minutes.",
    icon = "M4 18a8 8 0 1 1 16 0M12 16l4-6",
  },
  {
    name = "progress",
    title = "Progress",
    transport = "SSE",
    shows = "A job reports its progress, and pages follow. A page that comes late receives the state. The stream "
      .. "ends when the job is done.",
    icon = "M3 12h18M3 9v6h12V9z",
  },
  {
    name = "notifications",
    title = "Notifications",
    transport = "WebSocket",
    shows = "A private channel for each user, and a count of what is unread that survives a reload. A back end "
      .. "posts by curl. Open several tabs.",
    icon = "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4",
  },
  {
    name = "feed",
    title = "Feed",
    transport = "SSE",
    shows = "Entries appear as they are posted. Older ones page in from SQLite, on a thread of their own.",
    icon = "M5 5h14v5H5zM5 14h14v5H5z",
  },
  {
    name = "login",
    title = "Login",
    transport = "SSE",
    pages = { "enter" },
    shows = "Users in a file, and sessions by cookie. The page shows your sessions live. Log in with two "
      .. "browsers, and log the other one out.",
    icon = "M6 11h12v9H6zM9 11V7a3 3 0 0 1 6 0v4",
  },
  {
    name = "job",
    title = "Jobs",
    transport = "WebSocket",
    shows = "Jobs that report their steps. The result is the final message of a channel.",
    icon = "M4 7h16M4 12h10M4 17h6",
  },
  {
    name = "echo",
    title = "Echo",
    transport = "raw WebSocket",
    shows = "A WebSocket without channels returns every message, and the page measures how long it took.",
    icon = "M4 9h13l-4-4M20 15H7l4 4",
  },
  {
    name = "mcp",
    title = "Board",
    transport = "MCP",
    shows = "Language models add, find, and remove notes through the Model Context Protocol, and the page "
      .. "shows them live.",
    icon = "M5 4h14v12l-4 4H5zM15 20v-4h4M8 9h8M8 13h5",
  },
  {
    name = "document",
    title = "Document",
    transport = "WebSocket",
    shows = "A text that several people write at the same time, with their cursors. Write offline, and see the "
      .. "copies merge.",
    icon = "M6 3h9l4 4v14H6zM9 11h7M9 15h7",
  },
  {
    name = "game",
    title = "Game",
    transport = "binary WebSocket",
    shows = "Moons catch stars. The server computes 20 states a second, and sends each in a few bytes. Up to 24 "
      .. "players, without accounts.",
    icon = "M12 3l2.500 6 6.500.500-5 4.200 1.600 6.300-5.600-3.500L6.400 20 8 13.700 3 9.500 9.500 9z",
  },
  {
    name = "tracking",
    title = "Tracking",
    transport = "SSE",
    shows = "Order a parcel, and follow the van on a map that the page draws itself.",
    icon = "M3 7h11v9H3zM14 10h4l3 3v3h-7M7 19a1.500 1.500 0 1 0 .1 0M17 19a1.500 1.500 0 1 0 .1 0",
  },
  {
    name = "sensors",
    title = "Sensors",
    transport = "SSE",
    shows = "Devices post readings by curl, and dashboards follow them. A device that goes silent raises an alert.",
    icon = "M12 20v-8M8 8a5 5 0 0 1 8 0M5 5a9 9 0 0 1 14 0M10 12h4",
  },
  {
    name = "shop",
    title = "Shop",
    transport = "SSE, POST",
    shows = "Stock and price of a product as they change, and how many others look at it. The last one is sold "
      .. "once.",
    icon = "M5 8h14l-1 12H6zM9 8a3 3 0 0 1 6 0",
  },
}
