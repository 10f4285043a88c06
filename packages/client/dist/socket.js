// How long a peer may take to answer a close, and a process that has nothing else to do stays for it. `ws` alone would
// stay for 30 s.
const closeMsMax = 1_000;
/** Opens the platform's WebSocket, or that of `ws` where there is none (Node before 22). */
export const openWebSocket = (url, protocol, events) => {
    let socket;
    let done = false;
    let opened = false;
    let failed;
    const closed = (code, reason) => {
        clearTimeout(failed);
        if (done)
            return;
        done = true;
        events.closed(code, reason);
    };
    const undialable = (why) => {
        // Never from within the call that asked for the socket.
        queueMicrotask(() => {
            if (!done)
                events.undialable(why);
            done = true;
        });
    };
    const open = (Class) => {
        if (done)
            return;
        try {
            socket = new Class(url, protocol);
        }
        catch (error) {
            undialable(String(error));
            return;
        }
        socket.onopen = () => {
            opened = true;
            if (!done)
                events.opened();
        };
        socket.onmessage = ({ data }) => {
            if (!done && typeof data === "string")
                events.frame(data);
        };
        socket.onclose = ({ code, reason }) => closed(code, reason);
        // A close should follow each error, and tells its code; but Node 22 lets none follow a dial that was refused.
        socket.onerror = () => {
            if (done)
                return;
            if (opened)
                failed ??= setTimeout(() => closed(1006, ""), closeMsMax);
            else
                closed(1006, "");
        };
    };
    const platform = globalThis.WebSocket;
    if (platform)
        open(platform);
    else
        loadWs().then(open, (error) => undialable(`No WebSocket here, and no package ws: ${error}`));
    return {
        send: (text) => {
            // A socket that is closing drops what it is given, and tells of the close next.
            if (socket?.readyState === 1)
                socket.send(text);
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
function shut(socket, code, dead) {
    return new Promise((resolve) => {
        const timer = setTimeout(() => {
            socket.terminate?.();
            resolve();
        }, closeMsMax);
        socket.onclose = () => {
            clearTimeout(timer);
            resolve();
        };
        if (dead && socket.terminate)
            socket.terminate();
        else
            socket.close(code);
    });
}
async function loadWs() {
    // Not a literal, so that bundlers for browsers don't look for a package that they never need.
    const name = "ws";
    const module = await import(
    /* @vite-ignore */ /* webpackIgnore: true */ name);
    return module.WebSocket;
}
