/** Watches the page, if there is one: `visibilitychange`, `pageshow` and `online`. */
export const watchPage = (callback) => {
    const { document, window } = globalThis;
    const ends = [];
    const listen = (target, name, listener) => {
        target.addEventListener(name, listener);
        ends.push(() => target.removeEventListener(name, listener));
    };
    if (document?.addEventListener) {
        listen(document, "visibilitychange", () => {
            callback(document.visibilityState === "hidden" ? "hide" : "show");
        });
    }
    // React Native has a window without events.
    if (window?.addEventListener && window.removeEventListener) {
        listen(window, "online", () => callback("wake"));
        listen(window, "pageshow", () => callback("wake"));
    }
    return () => {
        for (const end of ends)
            end();
    };
};
