/** Watches the page, if there is one. */
export const watchPage = (callback) => {
    const { document, window } = globalThis;
    const ends = [];
    const listen = (target, name, listener) => {
        target.addEventListener(name, listener);
        ends.push(() => target.removeEventListener(name, listener));
    };
    if (document?.addEventListener) {
        listen(document, "visibilitychange", () => {
            if (document.visibilityState === "visible")
                callback();
        });
    }
    // React Native has a window without events.
    if (window?.addEventListener && window.removeEventListener) {
        listen(window, "online", callback);
        listen(window, "pageshow", callback);
    }
    return () => {
        for (const end of ends)
            end();
    };
};
