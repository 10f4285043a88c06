/** The page is hidden, is seen again, or something else tells that now is a time to look whether the connection lives. */
export type Wake = "hide" | "show" | "wake";

/** Calls back when the machine may have slept or the network may have changed; answers what ends that. */
export type WatchWake = (callback: (what: Wake) => void) => () => void;

interface Target {
  addEventListener(name: string, listener: () => void): void;
  removeEventListener(name: string, listener: () => void): void;
}

interface Page extends Target {
  readonly visibilityState: string;
}

/** Watches the page, if there is one: `visibilitychange`, `pageshow` and `online`. */
export const watchPage: WatchWake = (callback) => {
  const { document, window } = globalThis as { readonly document?: Page; readonly window?: Partial<Target> };
  const ends: (() => void)[] = [];
  const listen = (target: Target, name: string, listener: () => void): void => {
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
    listen(window as Target, "online", () => callback("wake"));
    listen(window as Target, "pageshow", () => callback("wake"));
  }
  return () => {
    for (const end of ends) end();
  };
};
