import type { Emitted, LifecycleEvents, LifecycleName } from "./actions.js";
import { asCodeError } from "./errors.js";

type Listener = (...args: never[]) => void;

interface Entry {
  readonly listener: Listener;
  readonly once: boolean;
}

const lifecycle: ReadonlySet<string> = new Set<LifecycleName>([
  "connect",
  "disconnect",
  "reconnect",
  "reconnectfailed",
  "close",
  "error",
  "ping",
  "latency",
  "status",
  "message",
]);

/** Whether a name is an event of the client's life rather than a push. */
export function isLifecycle(name: string): name is LifecycleName {
  return lifecycle.has(name);
}

/** Listeners by name. There is one of these for the client's life and one for pushes, so neither can forge the other. */
export class Listeners {
  readonly #entries: Map<string, Entry[]> = new Map();

  /** Adds a listener and answers what removes it. */
  add(name: string, listener: Listener, once = false): () => void {
    const entry: Entry = { listener, once };
    this.#entries.set(name, [...(this.#entries.get(name) ?? []), entry]);
    return () => this.#keep(name, (other) => other !== entry);
  }

  /** Removes every entry of a listener. */
  remove(name: string, listener: Listener): void {
    this.#keep(name, (entry) => entry.listener !== listener);
  }

  /** Calls the listeners and answers what they threw: none of them stops the others, or the client. */
  call(name: string, args: readonly unknown[]): unknown[] {
    const thrown: unknown[] = [];
    const entries = this.#entries.get(name) ?? [];
    if (entries.some((entry) => entry.once))
      this.#keep(name, (entry) => !(entry.once && entries.includes(entry)));
    for (const { listener } of entries) {
      try {
        (listener as (...args: readonly unknown[]) => void)(...args);
      } catch (error) {
        thrown.push(error);
      }
    }
    return thrown;
  }

  /** Whether anybody listens to that name. */
  has(name: string): boolean {
    return this.#entries.has(name);
  }

  #keep(name: string, keep: (entry: Entry) => boolean): void {
    const kept = (this.#entries.get(name) ?? []).filter(keep);
    if (kept.length > 0) this.#entries.set(name, kept);
    else this.#entries.delete(name);
  }
}

/** The two name spaces of a client. */
export class Events {
  readonly #lifecycle: Listeners = new Listeners();
  readonly #pushes: Listeners = new Listeners();
  readonly #report: (error: unknown) => void;

  /** `report` gets what listeners throw while nobody listens to `error`. */
  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** The name space that a name given to `on` belongs to. */
  of(name: string): Listeners {
    return isLifecycle(name) ? this.#lifecycle : this.#pushes;
  }

  /** The listeners of pushes, also of those that are called like a lifecycle event. */
  get pushes(): Listeners {
    return this.#pushes;
  }

  /** Tells of the client's life. */
  emit({ event, args }: Emitted): void {
    const thrown = this.#lifecycle.call(event, args);
    if (event === "error") for (const error of thrown) this.#report(error);
    else this.#tell(thrown);
  }

  /** Hands a push to whoever asked for it. */
  push(name: string, payload: unknown): void {
    this.#tell(this.#pushes.call(name, [payload]));
  }

  /** Calls what was registered elsewhere. */
  call(callback: Listener, args: readonly unknown[]): void {
    try {
      (callback as (...args: readonly unknown[]) => void)(...args);
    } catch (error) {
      this.#tell([error]);
    }
  }

  #tell(thrown: readonly unknown[]): void {
    for (const error of thrown) {
      if (!this.#lifecycle.has("error")) this.#report(error);
      else this.emit({ event: "error", args: [asCodeError(error, "listener_failed")] });
    }
  }
}

/** What listens to a lifecycle event. */
export type LifecycleListener<E extends LifecycleName> = (...args: LifecycleEvents[E]) => void;

/** Hands an error to the platform, as if nobody had caught it. A listener's fault must not vanish. */
export function reportUncaught(error: unknown): void {
  const { reportError } = globalThis as { readonly reportError?: (error: unknown) => void };
  if (reportError) return reportError(error);
  queueMicrotask(() => {
    throw error;
  });
}
