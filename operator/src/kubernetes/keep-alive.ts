/**
 * Connections are kept and probed by the kernel: after 15 s of silence every second, ten times (what Node sets with it). A peer that vanished without a
 * word is noticed after 25 s that way, long before a watch's own patience ends.
 */
export const keepAliveOptions = { keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 8 } as const;
