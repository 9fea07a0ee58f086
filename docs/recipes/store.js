// A store for a channel, for any framework: get() is the state, subscribe(fn) calls fn with it, now and after each change. This is the
// contract of Svelte's stores; React takes it by useSyncExternalStore, Vue by a shallowRef that subscribe sets.

export function channelStore(connection, name, reduce, initial) {
  const listeners = new Set();
  let channel = null;
  let state = { status: "idle", value: initial, gap: false };
  const set = (change) => {
    state = { ...state, ...change };
    for (const listener of listeners) listener(state);
  };
  function open() {
    channel = connection.channel(name);
    set({ status: "joining" });
    channel.on("moonwire:subscribed", () => set({ status: "joined" }));
    channel.on("moonwire:unsubscribed", ({ reason }) => set({ status: "refused", reason }));
    channel.on("moonwire:gap", () => set({ gap: true }));
    channel.on("*", (data, message) => message.event.startsWith("moonwire:") || set({ value: reduce(state.value, message) }));
  }
  return {
    get: () => state,
    send: (event, data) => channel.send(event, data),
    subscribe(listener) {
      listeners.add(listener);
      if (listeners.size === 1) open();
      listener(state);
      return () => listeners.delete(listener) && listeners.size === 0 && channel.unsubscribe();
    },
  };
}
