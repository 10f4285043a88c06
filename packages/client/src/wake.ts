/** Calls back when the machine may have slept or the network may have changed; answers what ends that. */
export type WatchWake = (callback: () => void) => () => void;

interface Target {
  addEventListener(name: string, listener: () => void): void;
  removeEventListener(name: string, listener: () => void): void;
}

interface Page extends Target {
  readonly visibilityState: string;
}

/** Watches the page, if there is one. */
export const watchPage: WatchWake = (callback) => {
  const { document, window } = globalThis as { readonly document?: Page; readonly window?: Partial<Target> };
  const ends: (() => void)[] = [];
  const listen = (target: Target, name: string, listener: () => void): void => {
    target.addEventListener(name, listener);
    ends.push(() => target.removeEventListener(name, listener));
  };
  if (document?.addEventListener) {
    listen(document, "visibilitychange", () => {
      if (document.visibilityState === "visible") callback();
    });
  }
  // React Native has a window without events.
  if (window?.addEventListener && window.removeEventListener) {
    listen(window as Target, "online", callback);
    listen(window as Target, "pageshow", callback);
  }
  return () => {
    for (const end of ends) end();
  };
};
