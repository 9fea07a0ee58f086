// A React hook for a channel: useChannel(connection, "room:1", 50) gives the newest messages, the members, and send.
// Needs React 18 or later. The connection is made once, outside of components: const connection = connect();

import { useEffect, useState } from "react";

const EMPTY = { status: "joining", messages: [], members: new Map(), gap: false, error: null, send: () => Promise.reject(new Error("not joined")) };

export function useChannel(connection, name, limit = 100) {
  const [state, setState] = useState(EMPTY);
  useEffect(() => {
    const channel = connection.channel(name);
    const update = (change) => setState((before) => ({ ...before, ...change(before) }));
    const offs = [
      channel.on("moonwire:subscribed", () => update(() => ({ status: "joined", send: channel.send }))),
      channel.on("moonwire:presence", () => update(() => ({ members: new Map(channel.presence) }))),
      channel.on("moonwire:gap", () => update(() => ({ gap: true }))),
      channel.on("moonwire:unsubscribed", (error) => update(() => ({ status: "refused", error }))),
      channel.on("*", (data, message) => {
        if (!message.event.startsWith("moonwire:")) update(({ messages }) => ({ messages: [...messages, message].slice(-limit) }));
      }),
    ];
    return () => {
      offs.forEach((off) => off());
      channel.unsubscribe();
      setState(EMPTY);
    };
  }, [connection, name, limit]);
  return state;
}
