/** The values of {@link Status}, by the origin's names. */
export const Status = { ONLINE: 3, CONNECTING: 2, RECONNECTING: 1, OFFLINE: 0 };
