/** What a socket tells the client. After `closed` it says nothing more. */
export interface SocketEvents {
  opened(): void;
  frame(text: string): void;
  closed(code: number, reason: string): void;
  /** There is none to be had, however often one tries. */
  undialable(why: string): void;
}

/** A socket that was asked for. */
export interface Socket {
  send(text: string): void;
  /** How many bytes were given to `send` and are not on their way yet; 0 where nobody can tell. */
  readonly bufferedAmount?: number;
  /** Closes it and says nothing more; resolves when it is gone. It waits for the peer only if that is not `dead`. */
  hangup(code: number, dead: boolean): Promise<void>;
}

/** Opens a socket. Tests bring their own. */
export type OpenSocket = (url: string, protocol: string, events: SocketEvents) => Socket;

/** The part of a WebSocket that is used here; browsers', Node's and that of `ws` have it. */
interface WebSocketLike {
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: (() => void) | null;
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(text: string): void;
  close(code?: number): void;
  /** Of `ws` alone. */
  terminate?(): void;
}

type WebSocketClass = new (url: string, protocol: string) => WebSocketLike;

// How long a peer may take to answer a close, and a process that has nothing else to do stays for it. `ws` alone would
// stay for 30 s.
const closeMsMax = 1_000;

/** Opens the platform's WebSocket, or that of `ws` where there is none (Node before 22). */
export const openWebSocket: OpenSocket = (url, protocol, events) => {
  let socket: WebSocketLike | undefined;
  let done = false;
  let opened = false;
  let failed: ReturnType<typeof setTimeout> | undefined;
  const closed = (code: number, reason: string): void => {
    clearTimeout(failed);
    if (done) return;
    done = true;
    events.closed(code, reason);
  };
  const undialable = (why: string): void => {
    // Never from within the call that asked for the socket.
    queueMicrotask(() => {
      if (!done) events.undialable(why);
      done = true;
    });
  };
  const open = (Class: WebSocketClass): void => {
    if (done) return;
    try {
      socket = new Class(url, protocol);
    } catch (error) {
      undialable(String(error));
      return;
    }
    socket.onopen = () => {
      opened = true;
      if (!done) events.opened();
    };
    socket.onmessage = ({ data }) => {
      if (!done && typeof data === "string") events.frame(data);
    };
    socket.onclose = ({ code, reason }) => closed(code, reason);
    // A close should follow each error, and tells its code; but Node 22 lets none follow a dial that was refused.
    socket.onerror = () => {
      if (done) return;
      if (opened) failed ??= setTimeout(() => closed(1006, ""), closeMsMax);
      else closed(1006, "");
    };
  };
  const platform = (globalThis as { readonly WebSocket?: WebSocketClass }).WebSocket;
  if (platform) open(platform);
  else loadWs().then(open, (error) => undialable(`No WebSocket here, and no package ws: ${error}`));
  return {
    send: (text) => {
      // A socket that is closing drops what it is given, and tells of the close next.
      if (socket?.readyState === 1) socket.send(text);
    },
    get bufferedAmount() {
      return socket?.bufferedAmount ?? 0;
    },
    hangup: (code, dead) => {
      done = true;
      clearTimeout(failed);
      return socket ? shut(socket, code, dead) : Promise.resolve();
    },
  };
};

function shut(socket: WebSocketLike, code: number, dead: boolean): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      socket.terminate?.();
      resolve();
    }, closeMsMax);
    socket.onclose = () => {
      clearTimeout(timer);
      resolve();
    };
    if (dead && socket.terminate) socket.terminate();
    else socket.close(code);
  });
}

async function loadWs(): Promise<WebSocketClass> {
  // Not a literal, so that bundlers for browsers don't look for a package that they never need.
  const name = "ws";
  const module: { readonly WebSocket: WebSocketClass } = await import(
    /* @vite-ignore */ /* webpackIgnore: true */ name
  );
  return module.WebSocket;
}
