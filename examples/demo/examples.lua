-- What the demo serves, in the order of its index. Each is a directory beside this one, whose app.lua
-- adds itself to the app that it receives. spec/browser/looks_spec.lua looks at the page of each.
--
--   pages   the pages that are looked at; default: the one at its path
--   icon    the path of a drawing in a square of 24

return {
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
}
