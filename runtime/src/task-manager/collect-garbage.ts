import { Session } from 'node:inspector/promises';

/**
 * Gives back what starting left on this thread's heap: garbage of loading modules, and a young generation that has grown with it, together 10 MiB and more,
 * which a thread with little to do would keep for long. Only while the heap is small: V8 goes over all of it, more than once. Asks through the inspector's
 * protocol, because JavaScript has no other documented way.
 */
export async function collectGarbage(): Promise<void> {
  const session = new Session();
  session.connect();
  try {
    await session.post('HeapProfiler.collectGarbage');
  } finally {
    session.disconnect();
  }
}
